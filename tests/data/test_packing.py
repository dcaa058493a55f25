import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data import IGNORE
from leanformer.data.packing import best_fit, cut, documents, pack, split
from leanformer.models.tiny_tokenizers import tiny_tokenizer

KIND = "causal-lm"
DOCUMENTS = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=25), min_size=1, max_size=20)


def pairs(rows: list[list[int]], labels: list[list[int]]) -> list[tuple[int, int]]:
    """Each token with its label."""
    both = zip(rows, labels, strict=True)
    return sorted(pair for ids, own in both for pair in zip(ids, own, strict=True))


@given(found=DOCUMENTS, length=st.integers(2, 12))
def test_no_token_is_lost_or_counted_twice(found: list[list[int]], length: int) -> None:
    packed = pack(found, KIND, length, 0)
    rows, labels = [row["input_ids"] for row in packed.encoded.rows], packed.encoded.labels
    assert labels is not None
    expected = [[*ids[1:], IGNORE] for ids in found]
    assert pairs(rows, labels) == pairs(found, expected)
    assert max(map(len, rows)) <= length
    assert packed.texts == len(found)
    assert packed.split == sum(len(ids) > length for ids in found)
    pieces = []  # read back by where positions begin anew
    for row in packed.encoded.rows:
        assert row["attention_mask"] == [1] * len(row["input_ids"])
        for token, place in zip(row["input_ids"], row["position_ids"], strict=True):
            if place == 0:
                pieces.append([])
            assert place == len(pieces[-1])
            pieces[-1].append(token)
    assert sorted(pieces) == sorted(piece.ids for ids in found for piece in split(ids, length))


@given(lengths=st.lists(st.integers(1, 10), max_size=40))
def test_rows_are_filled_well(lengths: list[int]) -> None:
    rows = best_fit(lengths, 10)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    sums = [sum(lengths[index] for index in row) for row in rows]
    assert all(0 < total <= 10 for total in sums)
    assert sum(total <= 5 for total in sums) <= 1  # two half empty rows would be one


def test_texts_end_with_the_end_token_once() -> None:
    tokenizer = tiny_tokenizer("llama")
    (ids,) = documents(["the quick fox"], tokenizer)
    assert ids == [*tokenizer("the quick fox")["input_ids"], tokenizer.eos_token_id]
    assert documents(["the quick fox</s>"], tokenizer) == [ids]
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="TokenizersBackend has no end token"):
        documents(["the quick fox"], tokenizer)


def test_texts_in_rows_of_their_own_are_cut() -> None:
    encoded = cut([[1, 2, 3, 4], [5, 6]], KIND, 3, 0)
    assert [row["input_ids"] for row in encoded.rows] == [[1, 2, 3], [5, 6]]
    assert encoded.labels == [[2, 3, IGNORE], [6, IGNORE]]
    assert encoded.truncated == 1


def test_a_row_must_have_room_for_a_token_and_the_next() -> None:
    with pytest.raises(ValueError, match="max_length: 1 is too short to predict a token"):
        pack([[1, 2]], KIND, 1, 0)
