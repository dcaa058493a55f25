"""Scores of texts from those of their choices: the least sure one counts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.runtime.gates import Entropy, Gate, Margin, check_gated, find_gate
from leanformer.tasks import kind_named, kind_names

GATES = [Margin(), Entropy()]


def rows(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


@pytest.mark.parametrize("gate", GATES)
def test_a_text_scores_alike_whatever_stands_beside_it(gate: Gate) -> None:
    texts = [rows(words, 5, seed=words) for words in (3, 1, 4)]
    for kind, outputs in (("classification", list(rows(7, 5))), ("tokens", texts)):
        alone = [gate.scores([one], kind)[0] for one in outputs]
        np.testing.assert_array_equal(gate.scores(outputs, kind), alone)
        assert gate.scores([], kind).shape == (0,)


@pytest.mark.parametrize("gate", GATES)
def test_labeled_words_are_as_sure_as_the_least_sure_that_was_read(gate: Gate) -> None:
    text = rows(4, 5)
    each = [gate.score(text[[place]].astype(float))[0] for place in range(4)]
    text[2] = -np.inf  # not read
    nothing, unread = np.zeros((0, 5), np.float32), np.full((2, 5), -np.inf, np.float32)
    found = gate.scores([text, nothing, text[:1], unread], "tokens")
    np.testing.assert_allclose(found, [min(each[0], each[1], each[3]), np.inf, each[0], np.inf])
    assert np.isinf(gate.scores([nothing], "tokens")).all()


@pytest.mark.parametrize("gate", GATES)
@given(
    shares=st.lists(st.floats(0.02, 0.98), min_size=1, max_size=4),
    bar=st.floats(0.1, 0.9),
)
def test_each_label_is_a_choice_between_yes_and_no_at_its_threshold(
    gate: Gate, shares: list[float], bar: float
) -> None:
    odds = np.log(np.array(shares) / (1 - np.array(shares))).astype(np.float32)
    own = odds.astype(float) - np.log(bar / (1 - bar))  # 0 at the threshold
    two = [gate.score(np.array([[0.0, one]]))[0] for one in own]
    (found,) = gate.scores([odds], "multi-label", [bar] * len(shares))
    assert found == pytest.approx(min(two), abs=1e-9)


@pytest.mark.parametrize("gate", GATES)
def test_nothing_is_less_sure_than_a_label_at_its_threshold(gate: Gate) -> None:
    at, far = np.log([0.2 / 0.8, 3.0]).astype(np.float32), np.array([4, -4], np.float32)
    unsure, sure = gate.scores([at, far], "multi-label", (0.2, 0.5))
    assert unsure < sure
    assert unsure == pytest.approx(gate.score(np.zeros((1, 2)))[0], abs=1e-6)


def test_tasks_whose_outputs_do_not_say_how_sure_they_are_are_refused() -> None:
    gated = {"classification", "multi-label", "tokens"}
    for kind in kind_names(served=True):
        if kind in gated:
            assert check_gated(kind).technique == kind
            continue
        listed = "there are gates for classification, multi-label, tokens"
        with pytest.raises(ValueError, match=f"no gate tells how sure .*'{kind}' is; {listed}"):
            Margin().scores([np.zeros(1, np.float32)], kind)
    assert kind_named("ranking").output == "decisions"  # its order is of scores, not of choices


def test_a_gate_is_found_by_its_name() -> None:
    assert find_gate("margin") == Margin()
    with pytest.raises(ValueError, match=r"gate.use: 'margn' is no gate .*did you mean 'margin'"):
        find_gate("margn")
