"""Cross entropy of a language model that never holds all logits.

    L = sum_n  CE(W h_n + b, y_n)          n runs over the known targets alone, in chunks

The logits are the largest tensor of most trainings: 16,384 tokens of a vocabulary of 30,522 take
2 GB in fp32, and their gradient as much again. Two things make them small:

    targets alone      the head reads the hidden states that have a label, [N, D]; of a masked
                       language model these are 15 % of the tokens, and so is the head's work
    chunks             the gradient of a chunk is computed with its loss, and its logits are dropped
                       before those of the next chunk exist

The gradients of W, b and h are summed over the chunks in the forward pass and multiplied by the
gradient of L in the backward pass. Nothing is computed twice; the summed gradient of W is held
between the two passes.

Legend: N known target, D hidden width, V vocabulary, W [V, D], b [V].
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core.machine.device import device_of
from leanformer.core.ranges import Index
from leanformer.core.technique import technique
from leanformer.data import Batch
from leanformer.models.packed import model_inputs
from leanformer.tasks import IGNORE
from leanformer.train.loss import Carry, Loss, Supervised, Term
from leanformer.train.memory.chunked_loss import Total, chunked_loss
from leanformer.train.memory.interface import MemorySaver
from leanformer.train.memory.replaced import replaced
from leanformer.train.tasks import loss_of
from leanformer.train.tasks.interface import known_targets

_KINDS = ("masked-lm", "causal-lm")
_CLOSE = 1e-3  # of the loss: rounding in any precision that models are trained in
_TRIED = (2, 8)  # rows and tokens of the batch that a model is tried with


@technique(
    "chunked-cross-entropy",
    paper="Wijmans et al. 2025 (Cut Your Losses), arXiv:2411.09009; Hsu et al. 2024 (Liger), "
    "arXiv:2410.10989",
)
class ChunkedCrossEntropy(MemorySaver):
    """Compute the logits of a language model at its targets alone, a chunk at a time."""

    tokens: Index = 2048
    """Targets of a chunk. 0 = all at once: the logits of the targets are held, which is fastest for
    masked language models, where they are few."""

    @contextmanager
    def apply(self, model: nn.Module, loss: Loss) -> Iterator[None]:
        """See `MemorySaver.apply`. Wherever else the model is called, it answers as before.

        Raises:
            ValueError: The loss is not the one of a language model, or the model does something
                with its logits that chunks do not reproduce.
        """
        kind = _language_of(loss)
        with _split(model, self.tokens) as split, replaced() as replace:
            _check_splits(model, split, kind)
            _use(split, loss, replace)
            yield

    @contextmanager
    def sketch(self, model: nn.Module, loss: Loss, targets: int) -> Iterator[None]:
        """As `apply`, for tensors without elements: the first `targets` tokens stand for the
        targets, and the model is not tried.
        """
        with _split(model, self.tokens) as split, replaced() as replace:
            split.places = lambda labels: torch.arange(targets, device=labels.device)
            _use(split, loss, replace)
            yield


def _language_of(loss: Loss) -> str:
    """The kind of language model that a loss is of.

    Raises:
        ValueError: It is of none.
    """
    parts = [part for part in loss.modules() if type(part) is Supervised]
    if not parts or any(part.kind not in _KINDS for part in parts):
        raise ValueError(
            f"chunked-cross-entropy: {type(loss).__name__} is not the loss of a masked or causal "
            "language model; leave this saver out of memory"
        )
    return parts[0].kind


def _use(split: "_Split", loss: Loss, replace: Callable[[Any, str, Any], None]) -> None:
    """Let a loss hand its targets to the head of a split model."""
    replace(loss, "compilable", False)  # it hands targets to the head from outside
    for part in loss.modules():
        if type(part) is Supervised:
            replace(part, "outputs", split.outputs(loss_of(part.kind).total))
            replace(part, "terms", _terms)


def _terms(outputs: Tensor, batch: Batch) -> list[Term]:
    return [Term("labels", outputs)]


def _places(labels: Tensor) -> Tensor:
    """Where the known targets are among all tokens, [N]."""
    return known_targets(labels).flatten().nonzero()[:, 0]


class _Split:
    """A model whose head computes the loss of the targets, while it is told some.

    Attributes:
        labels: The targets of the batch that passes, [B, T]; None = the model answers as ever.
        places: Where the known ones are among all tokens, [N].
    """

    def __init__(self, head: nn.Module, tokens: int) -> None:
        self.head, self.tokens = head, tokens
        self.forward = head.forward
        self.places = _places
        self.labels: Tensor | None = None
        self.total: Total | None = None

    def select(self, base: nn.Module, inputs: Any, output: Any) -> Any:
        """Hook of the base model: hidden states of the targets alone, [1, N, D]."""
        if self.labels is not None:
            hidden = output.last_hidden_state.flatten(0, 1)
            output.last_hidden_state = hidden[self.places(self.labels)][None]
        return output

    def compute(self, hidden: Tensor) -> Tensor:
        """In place of the head's forward: the loss, a scalar, inside the model's forward pass,
        where the weights of a model that is sharded are whole.
        """
        if self.labels is None or self.total is None:
            return self.forward(hidden)
        labels = self.labels.flatten()[self.places(self.labels)]
        parameters = list(self.head.parameters())
        return chunked_loss(self.forward, parameters, hidden[0], labels, self.total, self.tokens)

    def outputs(self, total: Total) -> Callable[[nn.Module, Batch, Carry], Tensor]:
        """What `Supervised.outputs` is replaced by: the loss of a batch, a scalar."""

        def outputs(model: nn.Module, batch: Batch, carry: Carry) -> Tensor:
            assert batch.labels is not None, "supervised training needs labels"
            self.labels, self.total = batch.labels, total
            try:
                loss: Tensor = model(**model_inputs(batch.inputs, model)).logits
            finally:
                self.labels = self.total = None
            return loss

        return outputs


@contextmanager
def _split(model: Any, tokens: int) -> Iterator[_Split]:
    """Within it, `model` hands its targets' hidden states to its head.

    Raises:
        ValueError: It has no output layer behind a base model.
    """
    find = getattr(model, "get_output_embeddings", None)
    head = find() if find is not None else None
    base = getattr(model, "base_model", model)
    if not isinstance(head, nn.Module) or base is model:
        raise ValueError(
            f"chunked-cross-entropy: {type(model).__name__} has no output layer behind a base "
            "model; leave this saver out of memory"
        )
    split = _Split(head, tokens)
    selecting = base.register_forward_hook(split.select)
    try:
        with replaced() as replace:
            replace(head, "forward", split.compute)
            yield split
    finally:
        selecting.remove()


@torch.no_grad()
def _check_splits(model: Any, split: _Split, kind: str) -> None:
    """Refuse a model that does more with its logits than the head does, by trying it.

    Raises:
        ValueError: The loss is another one, or is changed on its way out of the model.
    """
    training, total = model.training, loss_of(kind).total
    ids = torch.arange(1, 1 + _TRIED[0] * _TRIED[1], device=device_of(model)).view(_TRIED)
    ids = ids % model.config.vocab_size
    labels = ids.masked_fill(ids % 3 == 0, IGNORE)
    batch = Batch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels, (0, 1))
    model.eval()
    try:
        plain = total(model(**batch.inputs).logits, labels)
        found = split.outputs(total)(model, batch, {})
        close = found.shape == () and bool((found - plain).abs() <= _CLOSE * plain.abs())
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        close = False  # it cuts its logits, or needs other inputs
    finally:
        model.train(training)
    if not close:
        raise ValueError(
            f"chunked-cross-entropy: {type(model).__name__} computes its logits otherwise than by "
            "its output layer alone (it may scale or cap them); leave this saver out of memory"
        )
