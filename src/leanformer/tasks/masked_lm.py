"""Masked language modelling: words of plain text are hidden, and the model finds them.

It is trained on the way to a task and not served. The model is judged while it runs
(`train.evaluate.masked_accuracy`): logits of the whole vocabulary for every token of every text
would not fit into memory.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from leanformer.core.technique import technique
from leanformer.numerics.metrics import Metric
from leanformer.tasks.answers import equal_choices
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.text import Reading


@technique("masked-lm", paper="Devlin et al. 2019 (BERT), arXiv:1810.04805")
class MaskedLm(TaskKind):
    """Hidden words of plain text: pre-training, or fitting a model to a domain."""

    metrics = ("masked_accuracy",)
    head = "masked"
    no_labels = "plain text has no labels; the step for it is pretrain"
    output = "classes"
    per_token = True
    hides_words = True
    served = False

    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """Not there: the model is judged while it runs."""
        _never()

    def answers(self, outputs: Outputs, asked: Asked) -> Any:
        """Not there."""
        _never()

    def right(self, asked: Asked) -> Any:
        """Not there."""
        _never()

    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """Share of tokens with equal answers."""
        return equal_choices(reference, other)

    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[Any]:
        """Not there."""
        _never()

    def plain(self, answer: Any) -> dict[str, Any]:
        """Not there."""
        _never()


def _never() -> NoReturn:
    raise AssertionError("masked_accuracy is not computed from answers")
