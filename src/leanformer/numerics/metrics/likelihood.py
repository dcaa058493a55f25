"""How well a language model predicts texts: the probability that it gives to the tokens.

    token_probability = exp( sum_i l_i / sum_i n_i ) = 1 / perplexity

l_i is the log likelihood of text i in nats and n_i the number of its predicted tokens. It is the
geometric mean of the tokens' probabilities. Perplexity falls as a model becomes better; its inverse
rises, and a share of it means something: a student that keeps 95 % of the teacher's has a
perplexity 1 / 0.95 times as high.

Legend: N example, M made-up example.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics.metric import Metric, Statistics, ratio


@dataclass(frozen=True)
class TokenProbability(Metric):
    """Geometric mean of the tokens' probabilities; statistics: log likelihood, predicted tokens."""

    name = "token_probability"

    def statistics(self, predicted: Sequence[tuple[float, int]], gold: Any) -> Statistics:
        """[N, 2]; there is no gold beside the texts themselves."""
        return np.asarray(predicted, np.float64).reshape(-1, 2)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """The probability; 0 where no token is predicted."""
        tokens = np.asarray(totals[..., 1])
        return np.where(tokens > 0, np.exp(ratio(totals[..., 0], tokens)), 0.0)

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """A text of one length, predicted as badly or well as another text."""
        each = ratio(answers[:, 0], answers[:, 1])
        return np.stack([each * golds[:, 1], golds[:, 1]], axis=-1)
