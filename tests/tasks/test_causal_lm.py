import math
from typing import Any

import numpy as np
import pytest

from leanformer.tasks import Asked, CausalLm, served_kind
from leanformer.tasks.causal_lm import Perplexity

KIND = CausalLm()
ROWS = [
    np.log(np.array([0.5, 0.25, 0.125], np.float32)),
    np.array([math.inf], np.float32),  # one token: nothing is predicted
    np.array([-1.0, math.inf, math.inf], np.float32),  # two tokens and padding
]


def test_a_user_gets_the_perplexity_of_each_text() -> None:
    first, second, third = KIND.serve(ROWS, (), ["a", "b", "c"], [])
    assert first.perplexity == pytest.approx(4.0)
    assert first.predicted == 3
    assert second == Perplexity(None, 0)
    assert third.perplexity == pytest.approx(math.e)


def test_a_model_that_finds_a_text_impossible_says_so() -> None:
    rows = [np.array([-1e4], np.float32), np.array([np.nan], np.float32)]
    impossible, broken = KIND.serve(rows, (), ["a", "b"], [])
    assert impossible.perplexity == math.inf
    assert broken.perplexity is not None
    assert math.isnan(broken.perplexity)


def test_quality_is_the_inverse_of_perplexity_and_is_shown_as_perplexity() -> None:
    metric = KIND.metric("token_probability", ())
    quality = metric.score(KIND.answers(ROWS, Asked()), KIND.right(Asked()))
    perplexity = math.exp((math.log(2) + math.log(4) + math.log(8) + 1) / 4)
    assert quality == pytest.approx(1 / perplexity)
    name, value = KIND.shown("token_probability", quality)
    assert (name, value) == ("perplexity", pytest.approx(perplexity))
    assert KIND.shown("token_probability", 0.0) == ("perplexity", math.inf)


def test_two_backends_agree_as_far_as_their_probabilities() -> None:
    assert KIND.agreement(ROWS, ROWS) == 1
    worse = [row - np.float32(math.log(2)) for row in ROWS]
    assert KIND.agreement(ROWS, worse) == pytest.approx(0.5)
    assert KIND.agreement(ROWS[1:2], ROWS[1:2]) == 1


def test_there_is_no_graph_of_it() -> None:
    with pytest.raises(ValueError, match="kind 'causal-lm' has no graph that could be exported"):
        served_kind("causal-lm")


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        (Perplexity(4.0, 3), {"perplexity": 4.0, "predicted": 3}),
        (
            Perplexity(None, 0),
            {"perplexity": None, "predicted": 0, "note": "one token: nothing is predicted"},
        ),
        (
            Perplexity(math.inf, 2),
            {"perplexity": None, "predicted": 2, "note": "perplexity is inf"},
        ),
    ],
)
def test_an_answer_as_json(answer: Perplexity, plain: dict[str, Any]) -> None:
    assert KIND.plain(answer) == plain
