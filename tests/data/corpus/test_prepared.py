from pathlib import Path
from typing import Any

import pytest
from data.corpus.corpora import prepared, texts_of

from leanformer.data import IGNORE
from leanformer.data.corpus import Corpus, open_prepared, prepare
from leanformer.models.tiny_tokenizers import tiny_tokenizer

TEXTS = texts_of(150)


@pytest.mark.parametrize(
    ("family", "kind"), [("gpt2", "causal-lm"), ("bert", "masked-lm")], ids=str
)
def test_a_prepared_corpus_is_opened_without_its_texts(
    tmp_path: Path, family: str, kind: str
) -> None:
    made = prepared(tmp_path, TEXTS, family=family, kind=kind, held_out=0.2)
    (tmp_path / "texts.txt").unlink()
    opened = open_prepared(tmp_path / "corpus", tiny_tokenizer(family), max_length=48)
    assert opened.identity() == made.identity()
    assert (opened.kind, opened.packing, opened.max_length) == (kind, "packed", 48)
    assert opened.listing == made.listing
    assert 0.8 < opened.filled <= 1
    opened.check()
    grouped = open_prepared(
        tmp_path / "corpus", tiny_tokenizer(family), max_length=20, packing="grouped"
    )
    assert grouped.filled < 1
    assert grouped.identity() != made.identity()
    assert grouped.identity()["texts"] == made.identity()["texts"]


def test_damage_of_tokens_and_rows_is_found(tmp_path: Path) -> None:
    corpus = prepared(tmp_path, TEXTS)
    for name in ("shard-00000/train.ids", "rows-packed-48/pieces"):
        file = tmp_path / "corpus" / name
        raw = file.read_bytes()
        file.write_bytes(raw[::-1])
        with pytest.raises(ValueError, match=f"{file.name} was altered after it was written"):
            corpus.check()
        file.write_bytes(raw)
    corpus.check()


@pytest.mark.parametrize(("family", "kind"), [("gpt2", "causal-lm"), ("bert", "masked-lm")])
def test_held_out_documents_are_evaluated_on(tmp_path: Path, family: str, kind: str) -> None:
    corpus = prepared(tmp_path, TEXTS, family=family, kind=kind, held_out=0.3, shard_tokens=500)
    encoded = corpus.held_out()
    lengths = [encoded.length(index) for index in range(len(encoded))]
    listing = corpus.listing
    specials = len(listing.before) + len(listing.after)
    assert sum(lengths) - specials * len(encoded) == listing.tokens("held_out")
    assert max(lengths) <= 48
    assert (encoded.kind, encoded.truncated) == (kind, 0)
    if kind == "causal-lm":
        for row, labels in zip(encoded.rows, encoded.labels or (), strict=True):
            assert labels == [*row["input_ids"][1:], IGNORE]
    else:
        assert encoded.labels is None
    few = corpus.held_out(tokens=listing.tokens("held_out") // 3)
    assert 0 < len(few) < len(encoded) / 2
    ids = [row["input_ids"] for row in encoded.rows]
    assert all(row["input_ids"] in ids for row in few.rows)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    corpus = prepared(tmp_path, TEXTS)
    with pytest.raises(ValueError, match=r"held_out: no document .* Corpus\(held_out=0.01\)"):
        corpus.held_out()
    folder, tokenizer = tmp_path / "corpus", tiny_tokenizer("gpt2")
    with pytest.raises(ValueError, match="corpus: the corpus was prepared with another tokenizer"):
        open_prepared(folder, tiny_tokenizer("llama"), max_length=48)
    with pytest.raises(ValueError, match="packing: 'dense' is not packed or grouped"):
        open_prepared(folder, tokenizer, max_length=48, packing="dense")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_length: 65 is more than the 64 tokens that the tok"):
        open_prepared(folder, tokenizer, max_length=65)
    with pytest.raises(ValueError, match=r"tokens\.json is missing"):
        open_prepared(tmp_path, tokenizer, max_length=48)


def test_several_lengths_share_the_tokens(tmp_path: Path) -> None:
    prepared(tmp_path, TEXTS)
    times = (tmp_path / "corpus" / "tokens.json").stat().st_mtime_ns
    said: list[Any] = []
    again = prepare(
        Corpus(paths=(str(tmp_path / "texts.txt"),)),
        tiny_tokenizer("gpt2"),
        tmp_path / "corpus",
        kind="causal-lm",
        max_length=24,
        watch=said.append,
    )
    assert again.max_length == again.rows.plan.longest == 24
    assert not said
    assert (tmp_path / "corpus" / "tokens.json").stat().st_mtime_ns == times
