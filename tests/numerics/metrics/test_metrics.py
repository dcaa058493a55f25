from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from leanformer.numerics.metrics import (
    accuracy,
    cosine,
    neighbour_overlap,
    span_f1,
    spans,
    spearman,
)

TAGS = st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=12)
FLOATS = st.floats(-5, 5)


def test_accuracy_is_the_share_of_equal_labels() -> None:
    assert accuracy([1, 2, 0, 2], [1, 0, 0, 2]) == 0.75


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=30))
def test_spearman_equals_scipy_with_ties(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = [list(side) for side in zip(*pairs, strict=True)]
    if len(set(ours)) == 1 or len(set(theirs)) == 1:
        assert spearman(ours, theirs) == 0.0
    else:
        assert spearman(ours, theirs) == pytest.approx(spearmanr(ours, theirs).statistic, abs=1e-12)


@given(st.lists(FLOATS, min_size=3, max_size=20, unique=True))
def test_spearman_sees_ranks_only(values: list[float]) -> None:
    assert spearman(values, [rank**3 for rank in np.argsort(np.argsort(values))]) == pytest.approx(
        1
    )
    assert spearman(values, [-value for value in values]) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (["B-X", "I-X", "O", "B-Y"], [(0, 2, "X"), (3, 4, "Y")]),
        (["B-X", "B-X"], [(0, 1, "X"), (1, 2, "X")]),
        (["O", "I-X", "I-X"], [(1, 3, "X")]),
        (["B-X", "I-Y"], [(0, 1, "X"), (1, 2, "Y")]),
        (["S-X", "B-Y", "I-Y", "E-Y", "S-Y"], [(0, 1, "X"), (1, 4, "Y"), (4, 5, "Y")]),
        (["noun", "O", "verb"], [(0, 1, "noun"), (2, 3, "verb")]),
        ([], []),
        (["O", "O"], []),
    ],
)
def test_spans_of_hand_cases(tags: list[str], found: list[Any]) -> None:
    assert spans(tags) == found


def naive_spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """Each start, followed while the tags say that they go on."""
    found = set()
    for start, tag in enumerate(tags):
        kind = tag[2:]
        begins = tag[0] == "B" or (tag[0] == "I" and (start == 0 or tags[start - 1][2:] != kind))
        if begins:
            end = start + 1
            while end < len(tags) and tags[end] == f"I-{kind}":
                end += 1
            found.add((start, end, kind))
    return found


@given(TAGS)
def test_spans_equal_a_naive_reading(tags: list[str]) -> None:
    assert set(spans(tags)) == naive_spans(tags)


@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=5))
def test_span_f1_equals_harmonic_mean_of_precision_and_recall(pairs: list[Any]) -> None:
    ours = [a[: len(b)] + ["O"] * (len(b) - len(a)) for a, b in pairs]
    theirs = [b for _, b in pairs]
    mine = {(n, *span) for n, tags in enumerate(ours) for span in naive_spans(tags)}
    true = {(n, *span) for n, tags in enumerate(theirs) for span in naive_spans(tags)}
    if not mine and not true:
        expected = 1.0
    elif not mine & true:
        expected = 0.0
    else:
        precision, recall = len(mine & true) / len(mine), len(mine & true) / len(true)
        expected = 2 * precision * recall / (precision + recall)
    assert span_f1(ours, theirs) == pytest.approx(expected)


def test_cosine_is_blind_to_length() -> None:
    ours = np.array([[1, 0], [0, 2], [3, 3]], dtype=np.float32)
    theirs = np.array([[5, 0], [0, -1], [1, 0]], dtype=np.float32)
    assert cosine(ours, theirs) == pytest.approx((1 - 1 + 0.5**0.5) / 3)
    assert cosine(np.zeros((1, 2), np.float32), theirs[:1]) == 0.0


@given(seed=st.integers(0, 999), count=st.integers(2, 9), k=st.integers(1, 10))
def test_neighbour_overlap_equals_brute_force(seed: int, count: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    ours, theirs = rng.normal(size=(2, count, 4)).astype(np.float32)
    k_real = min(k, count - 1)
    shares = []
    for row in range(count):
        others = [other for other in range(count) if other != row]
        tops = [
            set(sorted(others, key=lambda other: -float(m[row] @ m[other]))[:k_real])
            for m in (ours, theirs)
        ]
        shares.append(len(tops[0] & tops[1]) / k_real)
    assert neighbour_overlap(ours, theirs, k) == pytest.approx(np.mean(shares))
    assert neighbour_overlap(ours, ours * 3, k) == 1.0


def test_a_single_vector_has_no_neighbours_to_lose() -> None:
    assert neighbour_overlap(np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32)) == 1.0
