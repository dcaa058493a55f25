import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score
from tasks.cases import kept

from leanformer.tasks import Asked, MultiLabel
from leanformer.tasks.answers import Prediction
from leanformer.tasks.multi_label import LabelSet, tuned_thresholds

KIND, FORM = MultiLabel(), LabelSet()
NAMES = ("anger", "früh", "joy")
SCORES = arrays(np.float64, (9, 2), elements=st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8, 1.0]))
GOLD = arrays(bool, (9, 2), elements=st.booleans())


def logits(shares: list[list[float]]) -> list[np.ndarray]:
    return [np.log(np.array(row) / (1 - np.array(row))) for row in shares]


class TestReading:
    def test_lists_and_cells_are_sets_of_names(self) -> None:
        order, labels = kept("multi-label", [["joy", "anger"], [], "früh|joy", "", " joy | joy "])
        assert order == NAMES
        assert labels == [[1, 0, 1], [0, 0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]]

    def test_columns_of_0_and_1_are_named_as_they_are(self) -> None:
        rows = [{"joy": "1", "anger": 0, "x": "?"}, {"joy": False, "anger": "1"}]
        read = [FORM.read(row, "joy,anger") for row in rows]
        assert FORM.names(read, "joy,anger") == ("joy", "anger")
        assert [FORM.parse(one, ("joy", "anger")) for one in read] == [[1, 0], [0, 1]]
        assert FORM.read({"joy,anger": ["a"]}, "joy,anger") == ["a"]

    def test_names_may_be_numbers(self) -> None:
        assert kept("multi-label", [[3, 10], [3]])[0] == ("3", "10")

    @given(st.permutations(range(3)), st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3))
    def test_a_renumbered_set_has_the_same_names(self, new: list[int], label: list[float]) -> None:
        moved = FORM.renumbered(label, new, 4)
        assert len(moved) == 4
        assert sum(moved) == sum(label)
        assert [moved[place] for place in new] == label

    def test_a_missing_set_is_not_an_empty_one(self) -> None:
        assert all(math.isnan(value) for value in FORM.blank(3))
        assert FORM.read({"labels": []}, "labels") == []
        for row in ({}, {"labels": None}):
            with pytest.raises(
                ValueError, match=r"labels is missing; give the row a list of label"
            ):
                FORM.read(row, "labels")

    @pytest.mark.parametrize(
        ("row", "column", "message"),
        [
            ({"labels": 3}, "labels", "labels is 3; write a list of labels, or text with"),
            ({"labels": ["a", " "]}, "labels", "labels has an empty label"),
            ({"labels": "a||b"}, "labels", "labels has an empty label"),
            ({"a": "2", "b": 1}, "a,b", "a is '2', and a column of a label holds 0 or 1"),
            ({"a": "1"}, "a,b", "b is None, and a column of a label holds 0 or 1"),
        ],
    )
    def test_what_is_no_set_is_refused(self, row: dict, column: str, message: str) -> None:  # type: ignore[type-arg]
        with pytest.raises(ValueError, match=message):
            FORM.read(row, column)

    def test_names_must_be_several_and_known(self) -> None:
        with pytest.raises(ValueError, match="'label' has 1 labels; multi-label classification"):
            kept("multi-label", [["a"], []])
        with pytest.raises(ValueError, match=r"has 'a,b' as one label; write '\|' between"):
            kept("multi-label", ["a,b", "c", ""])
        with pytest.raises(ValueError, match=r"label 'joi' is not among the training labels.*joy"):
            FORM.parse(["joi"], NAMES)
        with pytest.raises(ValueError, match="has 1001 different labels"):
            kept("multi-label", [[str(number), "x"] for number in range(1000)])


class TestThresholds:
    @given(SCORES, GOLD)
    def test_no_other_threshold_has_a_better_f1(self, shares: np.ndarray, gold: np.ndarray) -> None:
        for label, bar in enumerate(tuned_thresholds(shares, gold)):
            assert 0 <= bar <= 1
            best = max(
                f1_score(gold[:, label], shares[:, label] >= other, zero_division=0)
                for other in np.linspace(0, 1, 41)
            )
            found = f1_score(gold[:, label], shares[:, label] >= bar, zero_division=0)
            assert found >= best - 1e-12

    def test_nothing_to_learn_from_is_one_half(self) -> None:
        assert tuned_thresholds(np.array([[0.9], [0.2]]), np.zeros((2, 1), bool)) == (0.5,)
        assert tuned_thresholds(np.array([[0.6], [0.4]]), np.array([[1], [0]], bool)) == (0.5,)

    def test_each_half_is_answered_with_the_thresholds_of_the_other(self) -> None:
        outputs = logits([[0.2, 0.9], [0.3, 0.6], [0.1, 0.7], [0.1, 0.8]])
        asked = Asked(names=("a", "b"), labels=[[1.0, 1], [1, 0], [0, 0], [0, 1]])
        shares = 1 / (1 + np.exp(-np.stack(outputs)))
        gold = np.array(asked.labels, bool)
        ours = KIND.answers(outputs, asked)
        for half in (0, 1):
            bars = tuned_thresholds(shares[1 - half :: 2], gold[1 - half :: 2])
            assert (ours[half::2] == (shares[half::2] >= np.array(bars))).all()

    def test_given_thresholds_are_used_as_they_are(self) -> None:
        outputs = logits([[0.2, 0.9]])
        asked = Asked(names=("a", "b"), labels=[[0.0, 0]], thresholds=(0.15, 0.95))
        assert KIND.answers(outputs, asked).tolist() == [[True, False]]


def test_a_user_gets_the_labels_above_their_thresholds() -> None:
    outputs = logits([[0.3, 0.6, 0.9], [0.1, 0.1, 0.1]])
    first, none = KIND.serve(outputs, NAMES, ["x", "y"], [], (0.25, 0.7, 0.5))
    assert [one.label for one in first] == ["joy", "anger"]
    assert none == []
    assert KIND.serve(outputs, NAMES, ["x", "y"], [])[0][1].label == "früh"
    assert KIND.plain([Prediction("joy", 0.9)]) == {"labels": [{"label": "joy", "score": 0.9}]}
    assert KIND.plain([]) == {"labels": []}


def test_backends_agree_by_the_labels_that_both_answer() -> None:
    ours, theirs = logits([[0.9, 0.9], [0.1, 0.1]]), logits([[0.9, 0.1], [0.1, 0.1]])
    assert KIND.agreement(ours, ours) == 1
    assert KIND.agreement(ours, theirs) == 0.75


def test_metrics_are_of_sets() -> None:
    asked = Asked(names=NAMES, labels=[[1.0, 0, 0], [0, 0, 0]], thresholds=(0.5, 0.5, 0.5))
    answers = KIND.answers(logits([[0.9, 0.1, 0.9], [0.1, 0.1, 0.1]]), asked)
    assert KIND.metric("micro-f1", NAMES).score(answers, KIND.right(asked)) == pytest.approx(2 / 3)
    assert KIND.metric("macro-f1", NAMES).score(answers, KIND.right(asked)) == 0.5
    assert KIND.metric("f1:joy", NAMES).score(answers, KIND.right(asked)) == 0
