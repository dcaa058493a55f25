"""An objective in transformers' Trainer: a subclass whose loss is one call.

Needs `pip install accelerate`, as the Trainer does.

    python examples/distil_in_the_trainer.py
"""

import tempfile

import torch
from transformers import Trainer, TrainingArguments

from leanformer.distill.objectives.soft_targets import soft_targets
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.tiny import tiny_model

TEXTS = ["the quick brown fox", "my card was charged twice", "the film was slow", "a bowl of rice"]

teacher, tokenizer = tiny_model("bert")
student, _ = tiny_model("bert")
keep_layers(student, [0, 2])


class DistillTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **_):
        outputs = model(**inputs)
        with torch.no_grad():
            target = teacher(**inputs).logits
        loss = soft_targets(outputs.logits, target, temperature=2.0)
        return (loss, outputs) if return_outputs else loss


encoded = tokenizer(TEXTS, padding=True)
rows = [{key: encoded[key][index] for key in encoded} for index in range(len(TEXTS))]
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=10,
        learning_rate=1e-3,
        per_device_train_batch_size=4,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    result = DistillTrainer(model=student, args=arguments, train_dataset=rows).train()
print(f"loss {result.training_loss:.4f} after {result.global_step} steps")
