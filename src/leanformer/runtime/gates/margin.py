"""Margin: how far the likeliest class is ahead of the second.

score = p_(1) - p_(2)        p = softmax(z), sorted
"""

import numpy as np

from leanformer.core.technique import technique
from leanformer.runtime.gates.gate import Gate, Scores
from leanformer.tasks.answers import softmax


@technique("margin", paper="Scheffer et al. 2001, doi:10.1007/3-540-44816-0_31")
class Margin(Gate):
    """The lead of the likeliest class over the second."""

    def score(self, logits_MC: Scores) -> Scores:
        """From 0 (a tie) to 1."""
        shares_MC = softmax(logits_MC)
        if shares_MC.shape[1] < 2:
            return shares_MC[:, 0]
        two_M2 = np.partition(shares_MC, -2, axis=1)[:, -2:]
        lead: Scores = two_M2[:, 1] - two_M2[:, 0]
        return lead
