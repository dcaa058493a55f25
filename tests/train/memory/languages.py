"""Tiny language models and a batch with unequal texts and targets, for tests of memory savers."""

from typing import Any

import torch
from torch import Tensor, nn

from leanformer.data import IGNORE, Batch
from leanformer.models.tiny import tiny_model
from leanformer.train import Loss

ENCODERS = ("bert", "roberta", "modernbert", "distilbert")
DECODERS = ("gpt2", "llama")


def language_model(family: str, **settings: Any) -> tuple[Any, str]:
    """A model in float64 and training mode, and the kind of its task."""
    head = "causal" if family in DECODERS else "masked"
    model, _ = tiny_model(family, head=head, **settings)
    return model.double().train(), "causal-lm" if head == "causal" else "masked-lm"


def language_batch(vocabulary: int, *, rows: int = 3, length: int = 12, seed: int = 0) -> Batch:
    """Rows of unequal length; one token in three is a target, none of the last row."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, vocabulary, (rows, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, -3:] = 0  # in reach of the real tokens, also for local attention
    labels = torch.randint(0, vocabulary, ids.shape, generator=generator)
    known = (torch.rand(ids.shape, generator=generator) < 1 / 3) & (mask == 1)
    known[-1] = False
    known[0, 0] = True
    labels = labels.masked_fill(~known, IGNORE)
    return Batch({"input_ids": ids, "attention_mask": mask}, labels, tuple(range(rows)))


def step(model: nn.Module, loss: Loss, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch and the gradient of every parameter, with the same dropout each time."""
    model.zero_grad()
    torch.manual_seed(1)
    value = loss.mean(model, batch)
    value.backward()
    slopes = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return value.detach(), slopes
