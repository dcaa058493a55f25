import json
import random
from pathlib import Path

import numpy as np
import pytest

from leanformer.core.shards import parts_of_shards, shard_name
from leanformer.data.corpus.shards import Texts, Tokenized, write_shard
from leanformer.data.corpus.token_file import (
    Listing,
    TokenFile,
    check_tokens,
    read_listing,
    write_listing,
)


def write(folder: Path, shards: int = 3, dtype: str = "<u2") -> list[list[int]]:
    """Shards of random documents, every third held out; returns those to train on."""
    draw, texts, kept, made = random.Random(0), Texts(), [], []
    for number in range(shards):
        documents = []
        for place in range(7):
            ids = [draw.randrange(60000) for _ in range(draw.randint(1, 9))]
            split = "held_out" if place % 3 == 2 or number == 1 else "train"
            kept += [ids] if split == "train" else []
            documents.append(Tokenized(str(ids), ids, split))
        made.append(write_shard(folder / shard_name(number), documents, texts, dtype, 999))
    listing = Listing(
        {"kind": "x"},
        dtype,
        (1,),
        (2,),
        tuple(made),
        parts_of_shards(folder, [one.name for one in made]),
    )
    write_listing(folder, listing)
    assert read_listing(folder) == listing
    return kept


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
def test_pieces_are_read_wherever_they_stand(tmp_path: Path, dtype: str) -> None:
    documents = write(tmp_path, dtype=dtype)
    listing = read_listing(tmp_path)
    file = TokenFile(tmp_path, listing, "train")  # the second shard has none
    assert (file.documents, file.shards) == (len(documents), 2)
    assert file.tokens == sum(map(len, documents)) == listing.tokens("train")
    flat = [token for ids in documents for token in ids]
    ends = np.concatenate([file.begins[n] + file.ends(n) for n in range(2)])
    assert ends.tolist() == np.cumsum([len(ids) for ids in documents]).tolist()
    starts = np.concatenate([[0], ends[:-1]])
    order = np.random.default_rng(0).permutation(len(documents))
    found = file.read(starts[order], (ends - starts)[order])
    assert found.tolist() == [token for n in order for token in documents[n]]
    assert file.read(starts[:1] + 0, np.array([1])).tolist() == flat[:1]
    assert file.read(starts[:0], starts[:0]).tolist() == []


def test_damage_is_found_by_size_at_once_and_by_checksum_when_asked(tmp_path: Path) -> None:
    write(tmp_path)
    listing = read_listing(tmp_path)
    check_tokens(tmp_path, listing)
    file = tmp_path / shard_name(2) / "train.ids"
    raw = file.read_bytes()
    file.write_bytes(raw[::-1])
    read_listing(tmp_path)
    with pytest.raises(ValueError, match=r"train\.ids was altered .*; remove .* and prepare the c"):
        check_tokens(tmp_path, listing)
    file.write_bytes(raw[:-1])
    with pytest.raises(ValueError, match=r"train\.ids has \d+ bytes and had \d+ when it was writt"):
        read_listing(tmp_path)
    file.unlink()
    with pytest.raises(ValueError, match=r"train\.ids is missing, though tokens\.json names it"):
        read_listing(tmp_path)


def test_a_listing_that_is_not_as_it_was_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tokens\.json is missing: the corpus was not prepared"):
        read_listing(tmp_path)
    write(tmp_path)
    file = tmp_path / "tokens.json"
    text = file.read_text()
    for changed, said in (
        (text[:-1], r"is not valid JSON.*; remove"),
        (text.replace('"format": 1', '"format": 9'), "is not of format 1, which this version"),
        (text.replace('"kind": "x"', '"kind": "y"'), "was altered after it was written"),
        (json.dumps({"format": 1}), "was altered after it was written"),
    ):
        file.write_text(changed)
        with pytest.raises(ValueError, match=rf"tokens\.json {said}"):
            read_listing(tmp_path)
