import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from leanformer.runtime.batching import fixed_size, padding, restore, stack, token_budget

LENGTHS = st.lists(st.integers(1, 200), max_size=60)


@given(LENGTHS, st.integers(1, 600))
def test_every_text_is_in_exactly_one_batch_within_the_budget(lengths, budget):
    batches = token_budget(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert padded <= budget or len(batch) == 1


@given(LENGTHS, st.integers(1, 600), st.integers(1, 9))
def test_padded_tokens_are_at_least_the_real_ones(lengths, budget, rows):
    for batches in (token_budget(lengths, budget), fixed_size(lengths, rows)):
        counted = padding(lengths, batches)
        assert counted.real == sum(lengths)
        assert counted.padded >= counted.real


@given(LENGTHS, st.integers(1, 600))
def test_outputs_return_to_the_callers_order(lengths, budget):
    batches = token_budget(lengths, budget)
    outputs = [np.array([[lengths[i], i] for i in batch]) for batch in batches]
    restored = restore(batches, outputs)
    assert [row.tolist() for row in restored] == [[n, i] for i, n in enumerate(lengths)]


@given(LENGTHS, st.integers(1, 9))
def test_sorting_never_pads_more_where_every_batch_is_full(lengths, rows):
    # A last batch that is not full may be of long texts by luck, and sorting then loses a little.
    lengths = lengths[: len(lengths) // rows * rows]
    assume(lengths)
    ordered = padding(lengths, fixed_size(lengths, rows, by_length=True))
    assert ordered.padded <= padding(lengths, fixed_size(lengths, rows)).padded


def test_a_full_batch_ends_where_the_next_text_would_mostly_be_padding():
    lengths = [16] * 32 + [100]
    assert [len(batch) for batch in token_budget(lengths, 10_000)] == [32, 1]


def test_rows_are_padded_at_the_end_with_the_pad_id():
    encoded = {"input_ids": [[5, 6, 7], [8]], "attention_mask": [[1, 1, 1], [1]]}
    arrays = stack(encoded, [1, 0], pad_id=9)
    assert arrays["input_ids"].tolist() == [[8, 9, 9], [5, 6, 7]]
    assert arrays["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert arrays["input_ids"].dtype == np.int64


def test_refusals():
    with pytest.raises(ValueError, match="max_tokens: 0 is not positive"):
        token_budget([1], 0)
    with pytest.raises(ValueError, match="rows: 0 is not positive"):
        fixed_size([1], 0)
