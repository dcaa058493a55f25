from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.shards import shard_name
from leanformer.data.corpus.shards import (
    Texts,
    Tokenized,
    dtype_of,
    split_of,
    write_shard,
    written_shards,
)

DOCUMENTS = [
    Tokenized("one", [1, 2, 3], "train"),
    Tokenized("two", [4], "held_out"),
    Tokenized("none", [], "train"),
    Tokenized("three", [70, 5], "train"),
    Tokenized("four", [6], "train"),
]


def read(folder: Path, name: str, dtype: str) -> list[int]:
    return np.fromfile(folder / name, dtype).tolist()


def test_a_shard_ends_with_the_document_that_fills_it(tmp_path: Path) -> None:
    rest, texts = iter(DOCUMENTS), Texts()
    shard = write_shard(tmp_path / shard_name(0), rest, texts, "<u2", 6)
    assert next(rest).text == "four"
    assert (shard.documents, shard.characters) == (4, 15)
    assert (shard.train_documents, shard.train_tokens) == (2, 5)
    assert (shard.held_out_documents, shard.held_out_tokens) == (1, 1)
    assert [shard.tokens_of(one) for one in ("train", "held_out")] == [5, 1]
    place = tmp_path / "shard-00000"
    assert read(place, "train.ids", "<u2") == [1, 2, 3, 70, 5]
    assert read(place, "train.ends", "<i8") == [3, 5]
    assert read(place, "held_out.ids", "<u2") == [4]
    assert list(written_shards(tmp_path)) == [shard]
    again = Texts()
    for one in DOCUMENTS[:4]:
        again.add(one.text)
    assert again.digest == shard.texts


def test_texts_are_told_apart_by_content_and_order() -> None:
    def digest(*texts: str) -> str:
        seen = Texts()
        for text in texts:
            seen.add(text)
        return seen.digest

    assert len({digest("ab", "c"), digest("a", "bc"), digest("c", "ab"), digest("abc")}) == 4


@given(text=st.text(min_size=1), share=st.floats(0, 0.99))
def test_equal_texts_are_on_one_side(text: str, share: float) -> None:
    assert split_of(text, share) == split_of(f" {text}\n", share)
    if split_of(text, share) == "held_out":
        assert split_of(text, (1 + share) / 2) == "held_out"  # sides grow, they do not change


def test_the_share_is_as_asked() -> None:
    held = sum(split_of(f"text {n}", 0.1) == "held_out" for n in range(4000))
    assert abs(held - 400) < 6 * (4000 * 0.1 * 0.9) ** 0.5


def test_ids_take_as_few_bytes_as_they_need() -> None:
    assert (dtype_of(2**16 - 1), dtype_of(2**16)) == ("<u2", "<u4")


def test_a_damaged_shard_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name(0), iter(DOCUMENTS), Texts(), "<u2", 99)
    file = tmp_path / "shard-00000" / "train.ids"
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(ValueError, match=r"train\.ids was altered .*; remove .*shard-00000"):
        list(written_shards(tmp_path))
