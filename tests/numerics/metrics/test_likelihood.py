import math

import numpy as np
import pytest

from leanformer.numerics.metrics import TokenProbability

METRIC = TokenProbability()
TEXTS = [(math.log(0.5) * 3, 3), (math.log(0.25), 1), (0.0, 0)]  # the last has one token


def test_it_is_the_inverse_of_perplexity_over_all_tokens() -> None:
    perplexity = math.exp(-(3 * math.log(0.5) + math.log(0.25)) / 4)
    assert METRIC.score(TEXTS, None) == pytest.approx(1 / perplexity)
    totals = METRIC.statistics(TEXTS, None).sum(0)
    assert METRIC.value(5 * totals) == pytest.approx(METRIC.value(totals))


def test_nothing_predicted_is_worth_nothing() -> None:
    assert METRIC.score([(0.0, 0)], None) == 0
    assert METRIC.score([], None) == 0


def test_a_made_up_text_is_as_long_as_one_and_as_badly_predicted_as_another() -> None:
    statistics = METRIC.statistics(TEXTS, None)
    made = METRIC.exchanged(statistics[[0, 1, 0]], statistics[[1, 0, 2]])
    np.testing.assert_allclose(made, [[3 * math.log(0.25), 3], [math.log(0.5), 1], [0, 3]])
