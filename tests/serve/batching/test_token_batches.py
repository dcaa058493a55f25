from hypothesis import given
from hypothesis import strategies as st

from leanformer.serve.batching.token_batches import WINDOW, choose_batch

TOKENS = st.lists(st.integers(1, 600), min_size=1, max_size=80)


@given(TOKENS, st.integers(1, 2048))
def test_a_batch_has_the_oldest_text_and_fits(tokens, most):
    chosen = choose_batch(tokens, most)
    assert chosen[0] == 0
    assert chosen == sorted(set(chosen))
    padded = len(chosen) * max(tokens[index] for index in chosen)
    assert padded <= most or chosen == [0]


@given(TOKENS, st.integers(1, 2048))
def test_repeated_batches_take_every_text_once(tokens, most):
    left, taken = list(enumerate(tokens)), []
    while left:
        oldest = left[0]
        chosen = choose_batch([size for _, size in left], most)
        batch = [left[index] for index in chosen]
        assert oldest in batch
        taken += batch
        left = [one for one in left if one not in batch]
    assert sorted(taken) == list(enumerate(tokens))


def test_texts_of_the_oldest_ones_length_are_taken_first():
    tokens = [10, 60, 11, 55, 9, 12]
    assert choose_batch(tokens, 48) == [0, 2, 4, 5]
    assert choose_batch([500, 10, 490, 11], 1000) == [0, 2]


def test_all_are_taken_where_there_is_room():
    assert choose_batch([5, 7, 6], 2048) == [0, 1, 2]


def test_texts_beyond_the_window_wait():
    tokens = [10] + [100] * 8 + [10]  # eight long texts fill the window of four batches of 200
    assert sum(tokens[:9]) >= WINDOW * 200
    assert choose_batch(tokens, 200) == [0, 1]
