"""Entropy: how evenly the probability is spread over the classes.

score = sum_c p_c log p_c        p = softmax(z); in nats, 0 log 0 = 0
"""

import numpy as np

from leanformer.core.technique import technique
from leanformer.runtime.gates.gate import Gate, Scores
from leanformer.tasks.answers import softmax


@technique("entropy", paper="Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x")
class Entropy(Gate):
    """Negative entropy of the classes: looks at all of them, not at the first two."""

    def score(self, logits_MC: Scores) -> Scores:
        """From -log C (all alike) to 0."""
        shares_MC = softmax(logits_MC)
        logs_MC = np.log(np.where(shares_MC > 0, shares_MC, 1.0))
        total: Scores = (shares_MC * logs_MC).sum(1)
        return total
