"""Reliability: how likely an answer is right, by its lead and by the class that it names.

    score = a (z_(1) - z_(2)) + b_c        c = argmax z; the log odds of being right

Where a system confuses two classes often, a large lead says less than elsewhere: the margin passes
too few of those texts on, and too many others. `measure.gates.reliability` fits a and b.
"""

import numpy as np

from leanformer.core.ranges import Number
from leanformer.core.technique import technique
from leanformer.runtime.gates.gate import Gate, Scores


@technique("reliability", paper="Platt 1999, Probabilistic outputs for support vector machines")
class Reliability(Gate):
    """Learned log odds that an answer is right: its lead, and an offset of its class."""

    slope: Number = 1.0
    """Log odds per unit of the lead of the largest logit over the second."""
    offsets: tuple[Number, ...] = ()
    """Log odds of an answer without a lead, by the class that it names; () = 0 of each."""

    def score(self, logits_MC: Scores) -> Scores:
        """Log odds.

        Raises:
            ValueError: There are not as many offsets as classes.
        """
        offsets_C = np.array(self.offsets or (0.0,) * logits_MC.shape[1])
        if len(offsets_C) != logits_MC.shape[1]:
            raise ValueError(
                f"offsets: {len(offsets_C)} for outputs of {logits_MC.shape[1]} classes; fit the "
                "gate on outputs of this system"
            )
        return self.slope * lead(logits_MC) + offsets_C[logits_MC.argmax(1)]


def lead(logits_MC: Scores) -> Scores:
    """The largest logit minus the second, [M]; inf where there is no second."""
    if logits_MC.shape[1] < 2:
        return np.full(len(logits_MC), np.inf)
    two_M2 = np.partition(logits_MC, -2, axis=1)[:, -2:]
    found: Scores = two_M2[:, 1] - two_M2[:, 0]
    return found
