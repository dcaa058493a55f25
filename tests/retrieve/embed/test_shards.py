"""A shard is whole or absent, and holds what was read for it."""

import json
from pathlib import Path

import numpy as np

from leanformer.data.corpus.records import Record
from leanformer.data.corpus.shards import Texts
from leanformer.retrieve.embed.shards import skipped_rows, take_in, write_shard, written_shards

WINDOW = [
    Record("a", "the film", "x:1", 1),
    Record("", "", "x:2", 2, "x:2: text is empty"),
    Record("ü", "jump", "x:3", 3),
]


def test_a_shard_holds_vectors_ids_and_what_was_skipped(tmp_path: Path) -> None:
    texts = Texts()
    vectors = np.arange(6, dtype=np.float16).reshape(2, 3)
    shard = write_shard(tmp_path / "shard-00000", WINDOW, vectors, take_in(texts, WINDOW))
    assert (shard.rows, shard.read) == (2, 3)
    assert list(written_shards(tmp_path)) == [shard]
    np.testing.assert_array_equal(np.load(tmp_path / shard.name / "vectors.npy"), vectors)
    assert (tmp_path / shard.name / "ids.utf8").read_bytes() == "aü".encode()
    assert np.fromfile(tmp_path / shard.name / "ids.ends", "<i8").tolist() == [1, 3]
    assert [*skipped_rows(tmp_path, [shard])] == [{"place": "x:2", "error": "x:2: text is empty"}]
    assert json.loads((tmp_path / shard.name / "shard.json").read_text())["texts"] == shard.texts


def test_the_digest_tells_ids_texts_and_their_order() -> None:
    def of(*records: Record) -> str:
        return take_in(Texts(), records)

    first, _, last = WINDOW
    others = [of(last, first), of(first), of(first._replace(id="b"), last)]
    others += [of(first._replace(text="the"), last), of(first._replace(id="at", text="he film"))]
    assert of(first, last) not in others
    grown = Texts()
    take_in(grown, [first])
    assert take_in(grown, [last]) == of(first, last)
