import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.runtime.batching import (
    ROWS,
    Batch,
    batches_in_order,
    padding,
    plan_batches,
    restore,
    round_up,
    stack,
)
from leanformer.text import Reading

LENGTHS = st.lists(st.integers(1, 200), max_size=60)
LADDER = sorted({round_up(tokens, 512) for tokens in range(1, 513)})


@given(LENGTHS, st.integers(1, 600), st.integers(1, 8))
def test_every_text_is_in_exactly_one_batch_of_a_known_shape(lengths, budget, threads):
    batches = plan_batches(lengths, 512, threads=threads, max_tokens=budget)
    assert sorted(i for batch in batches for i in batch.indices) == list(range(len(lengths)))
    for batch in batches:
        assert batch.tokens in LADDER
        assert batch.rows in ROWS
        assert batch.rows * batch.tokens <= budget or batch.rows == 1
        assert len(batch.indices) <= batch.rows
        assert max(lengths[i] for i in batch.indices) <= batch.tokens


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(1, 3))
def test_no_other_batches_of_these_shapes_cost_less(lengths, threads):
    """Every way to cut the sorted texts into runs, each in the smallest shape that holds it."""
    lengths = sorted(lengths, reverse=True)

    def cost(run):
        rows = next(r for r in ROWS if r >= len(run))
        return 12 * threads + rows * round_up(run[0], 512)

    def least(start):
        if start == len(lengths):
            return 0
        return min(
            cost(lengths[start:end]) + least(end) for end in range(start + 1, len(lengths) + 1)
        )

    planned = plan_batches(lengths, 512, threads=threads)
    assert sum(12 * threads + batch.rows * batch.tokens for batch in planned) == least(0)


def test_the_ladder_has_eight_lengths_for_each_doubling():
    assert LADDER[:8] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert [sum(low < n <= 2 * low for n in LADDER) for low in (16, 32, 64, 128, 256)] == [8] * 5
    assert all(round_up(n, 512) < n * 1.13 for n in range(16, 513))
    assert round_up(97, 100) == 100  # never more than the model reads


def test_texts_of_like_length_share_a_batch_and_long_ones_are_apart():
    batches = plan_batches([16] * 64 + [100], 512)
    assert [(len(b.indices), b.rows, b.tokens) for b in batches] == [(1, 1, 104), (64, 64, 16)]


def test_a_server_sees_few_shapes():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(2000):
        lengths = rng.integers(3, 129, rng.integers(1, 31)).tolist()
        seen |= {(batch.rows, batch.tokens) for batch in plan_batches(lengths, 128)}
    assert len(seen) < 90


@given(LENGTHS, st.integers(1, 600), st.integers(1, 9))
def test_padded_tokens_are_at_least_the_real_ones(lengths, budget, rows):
    for batches in (plan_batches(lengths, 512, max_tokens=budget), batches_in_order(lengths, rows)):
        counted = padding(lengths, batches)
        assert counted.real == sum(lengths)
        assert counted.padded >= counted.real


@given(LENGTHS, st.integers(1, 600))
def test_outputs_return_to_the_callers_order(lengths, budget):
    batches = plan_batches(lengths, 512, max_tokens=budget)
    outputs = [
        np.array([[lengths[i], i] for i in batch.indices] + [[-1, -1]] * batch.rows)
        for batch in batches
    ]
    restored = restore(batches, outputs)
    assert [row.tolist() for row in restored] == [[n, i] for i, n in enumerate(lengths)]


def test_batches_in_order_are_padded_to_their_longest():
    lengths = [5, 9, 2, 4, 7]
    ordered = batches_in_order(lengths, 2)
    assert ordered == [Batch((0, 1), 2, 9), Batch((2, 3), 2, 4), Batch((4,), 1, 7)]
    by_length = batches_in_order(lengths, 2, by_length=True)
    assert [batch.indices for batch in by_length] == [(2, 3), (0, 4), (1,)]


def test_rows_are_padded_at_the_end_and_spare_rows_repeat_the_first():
    readings = [Reading([5, 6, 7], [0, 0, 1], cut=False), Reading([8], [0], cut=False)]
    arrays = stack(readings, Batch((1, 0), 4, 4), pad_id=9)
    assert arrays["input_ids"].tolist() == [[8, 9, 9, 9], [5, 6, 7, 9], *[[8, 9, 9, 9]] * 2]
    assert arrays["attention_mask"].tolist()[:2] == [[1, 0, 0, 0], [1, 1, 1, 0]]
    assert arrays["token_type_ids"].tolist()[1] == [0, 0, 1, 0]
    assert arrays["input_ids"].dtype == np.int64


def test_refusals():
    with pytest.raises(ValueError, match="max_tokens: 0 is not positive"):
        plan_batches([1], 8, max_tokens=0)
    with pytest.raises(ValueError, match="rows: 0 is not positive"):
        batches_in_order([1], 0)
