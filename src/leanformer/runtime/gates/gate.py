"""The interface of gates: one score per text, higher where a system is surer of its answer.

A gate scores rows of logits, each a choice among classes that exclude each other. What a text's
choices are depends on its task, and a text is as sure as its least sure choice:

    classification   one choice: its classes
    multi-label      one choice per label l, with its threshold t_l: logits (0, z_l - logit t_l)
    tokens           one choice per word that was read

A score is a function of one text's output alone, so it does not depend on the rest of the batch.

Legend: N text, M choice, C class, W word.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.gates.thresholds import log_odds
from leanformer.tasks import TaskKind, kind_named, kind_names

Scores = NDArray[np.float64]


class Gate(ABC):
    """Scores how sure a system is, from its raw outputs."""

    family: ClassVar[str] = "gate"

    @abstractmethod
    def score(self, logits_MC: Scores) -> Scores:
        """One score per choice, [M]; higher is surer. A logit of -inf has no probability."""

    def scores(
        self, outputs: Sequence[NDArray[np.float32]], kind: str, thresholds: Sequence[float] = ()
    ) -> Scores:
        """One score per text, [N]; inf where a text has no choice, as one without words.

        Args:
            outputs: Raw output of each text: logits [C], or [W, C] where words are labeled.
            kind: The task.
            thresholds: For multi-label, the probability from which each label is answered; () =
                0.5.

        Raises:
            ValueError: The outputs of this task do not say how sure they are.
        """
        about = check_gated(kind)
        if not len(outputs):
            return np.zeros(0)
        if about.reads_words:
            return self._least([row[np.isfinite(row).any(-1)] for row in outputs])
        logits_NC = np.stack(list(outputs)).astype(np.float64)
        if about.output == "classes":
            return self.score(logits_NC)
        above_NC = logits_NC - log_odds(thresholds, logits_NC.shape[1])
        pairs = np.stack([np.zeros_like(above_NC), above_NC], -1).reshape(-1, 2)
        least: Scores = self.score(pairs).reshape(above_NC.shape).min(1)
        return least

    def _least(self, rows_WC: Sequence[NDArray[np.float32]]) -> Scores:
        """The least score among the rows of each text."""
        found = np.full(len(rows_WC), np.inf)
        read = [place for place, rows in enumerate(rows_WC) if len(rows)]
        if read:
            each_M = self.score(np.concatenate([rows_WC[n] for n in read]).astype(np.float64))
            begins = np.cumsum([0, *(len(rows_WC[n]) for n in read[:-1])])
            found[read] = np.minimum.reduceat(each_M, begins)
        return found


def check_gated(kind: str) -> TaskKind:
    """The task `kind`, whose outputs must say how sure they are.

    Raises:
        ValueError: They are numbers, vectors or the next tokens.
    """
    about = kind_named(kind)
    if not is_gated(about):
        gated = [name for name in kind_names(served=True) if is_gated(kind_named(name))]
        raise ValueError(
            f"kind: no gate tells how sure an output of {kind!r} is; there are gates for "
            f"{', '.join(gated)}"
        )
    return about


def is_gated(about: TaskKind) -> bool:
    """Whether the outputs of a task say how sure they are."""
    chooses = about.output in ("classes", "decisions")
    return chooses and not about.predicts_next and not about.grouped
