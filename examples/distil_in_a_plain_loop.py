"""Distillation in a loop of your own: the technique is a function of tensors, no more.

python examples/distil_in_a_plain_loop.py
"""

import torch

from leanformer.distill.objectives.soft_targets import soft_targets
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.tiny import tiny_model

TEXTS = ["the quick brown fox", "my card was charged twice", "the film was slow", "a bowl of rice"]

teacher, tokenizer = tiny_model("bert")
student, _ = tiny_model("bert")
keep_layers(student, [0, 2])  # two of three layers, physically

inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
with torch.no_grad():
    target = teacher(**inputs).logits

optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
losses = []
for _ in range(20):
    loss = soft_targets(student(**inputs).logits, target, temperature=2.0)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())

print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}")
assert losses[-1] < losses[0]
