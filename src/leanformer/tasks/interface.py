"""The interface of tasks: what is read, how outputs become answers, and what these are worth.

A task is a technique in two halves under one name. This half needs numpy only and is also there
where a model is served: columns, labels, metrics, answers. The other half, `train.tasks`, holds the
head's loss.

    labels      how they are written, kept and marked as missing (`tasks.labels`)
    outputs     what the head says: raw numbers of each text, or of each token
    answers     what outputs mean, in the form that the metric takes
    served      what a user of the model gets

Legend: C class, T token, D width of a vector.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics import Metric
from leanformer.tasks.labels import LabelForm
from leanformer.text import Reading

Outputs = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is known of the texts whose outputs are judged.

    Attributes:
        names: Names of the labels.
        labels: One label per text, as `LabelForm.parse` gives it; for words that of each word.
        firsts: First token of each word, None where it was cut off; only where labels are of words.
        vectors: The teacher's vectors, [N, D], where a model is judged by them.
        groups: The query that each text was found for, where texts are ranked by query.
        thresholds: The probability from which each label is answered; () = not tuned yet.
    """

    names: tuple[str, ...] = ()
    labels: Sequence[Any] | None = None
    firsts: Sequence[Sequence[int | None]] | None = None
    vectors: NDArray[np.float32] | None = None
    groups: Sequence[str] | None = None
    thresholds: tuple[float, ...] = ()


class TaskKind(ABC):
    """What all data sets of one task have in common.

    Attributes:
        metrics: Names of its metrics, the default first.
        label_metrics: Whether `f1:LABEL`, the F1 of one label, is a metric too.
        head: The head that a model needs: "classification" (one vector of logits per text),
            "tokens" (one per token), "embedding" (none), "masked" or "causal" (logits of the
            vocabulary).
        problem_type: What config.json calls the task of a "classification" head; "" = nothing.
        form: How its labels are written and kept; None = examples have no labels.
        no_labels: What fine-tuning says to whoever asks for it without labels.
        reads_words: Whether examples are words with one label each, instead of texts.
        pairs: Whether examples may, or must, be pairs of texts; "split" = a pair is two texts to
            learn from.
        grouped: Whether texts are judged by query: a metric's statistics are of queries then.
        output: What the numbers of an output are: logits of classes that exclude each other
            (softmax), logits of decisions that do not (sigmoid), a number each, or the coordinates
            of a vector.
        tunes_thresholds: Whether thresholds are tuned on dev and served with the model.
        per_token: Whether there is an output for each token.
        hides_words: Whether words are hidden from the model, which has to find them.
        predicts_next: Whether each token is predicted from those before it; outputs that are judged
            are then the log likelihoods of the tokens.
        served: Whether a model of this task answers texts.
        exported: Whether it can be served as an exported graph; otherwise PyTorch answers.
        majority: Whether answering the commonest label always is a baseline to be beaten.
    """

    family: ClassVar[str] = "task"
    technique: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    label_metrics: ClassVar[bool] = False
    head: ClassVar[Literal["classification", "tokens", "embedding", "masked", "causal"]]
    problem_type: ClassVar[str] = ""
    form: ClassVar[LabelForm | None] = None
    no_labels: ClassVar[str] = ""
    reads_words: ClassVar[bool] = False
    pairs: ClassVar[Literal["optional", "needed", "split"]] = "optional"
    grouped: ClassVar[bool] = False
    output: ClassVar[Literal["classes", "decisions", "numbers", "vector"]]
    tunes_thresholds: ClassVar[bool] = False
    per_token: ClassVar[bool] = False
    hides_words: ClassVar[bool] = False
    predicts_next: ClassVar[bool] = False
    served: ClassVar[bool] = True
    exported: ClassVar[bool] = True
    majority: ClassVar[bool] = False

    @property
    def has_targets(self) -> bool:
        """Whether a batch has something to be right about: labels, or the next tokens."""
        return self.form is not None or self.predicts_next

    def shown(self, metric: str, quality: float) -> tuple[str, float]:
        """Name and value of a quality as people read it; a quality must rise as models improve."""
        return metric, quality

    @abstractmethod
    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """The metric called `name`, one of `metrics` or f1:LABEL, for labels called `names`."""

    @abstractmethod
    def answers(self, outputs: Outputs, asked: Asked) -> Any:
        """What the outputs mean, in the form that the metrics take."""

    @abstractmethod
    def right(self, asked: Asked) -> Any:
        """The right answers, in the form that the metrics take."""

    def thresholds(self, outputs: Outputs, asked: Asked) -> tuple[float, ...]:
        """The probability from which each label is answered, tuned on these texts; () of a task
        that has no such thresholds."""
        return ()

    @abstractmethod
    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """How far two backends' answers to the same texts agree; 1 where they are the same."""

    @abstractmethod
    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[Any]:
        """What a user gets for each text.

        Args:
            outputs: The output of each text.
            names: Names of the labels.
            texts: The texts.
            readings: How each was read.
            thresholds: The probability from which each label is answered; () = 0.5.
        """

    @abstractmethod
    def plain(self, answer: Any) -> dict[str, Any]:
        """One of the answers of `serve` as JSON."""
