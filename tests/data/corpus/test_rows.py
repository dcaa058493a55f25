from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.corpus.corpora import WORDS, prepared, texts_of

from leanformer.data import IGNORE, Batch
from leanformer.data.packing import documents, split
from leanformer.models.tiny_tokenizers import tiny_tokenizer

TEXTS = [*texts_of(60), " ".join(WORDS * 3)]
LENGTH = 48


def every(corpus: Any) -> list[Batch]:
    """All rows of a corpus, in batches of 7 in a shuffled order."""
    order = np.random.default_rng(0).permutation(len(corpus.rows))
    return [corpus.rows.batch(order[first : first + 7]) for first in range(0, len(order), 7)]


def texts_in(batch: Batch) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of each piece of a packed batch, told by where positions begin anew."""
    found: list[tuple[list[int], list[int]]] = []
    inputs = {name: one.tolist() for name, one in batch.inputs.items()}
    labels = inputs["input_ids"] if batch.labels is None else batch.labels.tolist()
    for row, mask in enumerate(inputs["attention_mask"]):
        width = sum(mask)
        assert mask == [1] * width + [0] * (len(mask) - width)
        places = inputs.get("position_ids", [list(range(len(mask)))] * (row + 1))[row]
        for at in range(width):
            if places[at] == 0:
                found.append(([], []))
            assert places[at] == len(found[-1][0])
            found[-1][0].append(inputs["input_ids"][row][at])
            found[-1][1].append(labels[row][at])
        if batch.labels is not None:
            assert set(labels[row][width:]) <= {IGNORE}
    return found


@pytest.mark.parametrize("packing", ["packed", "grouped"])
@pytest.mark.parametrize("shard_tokens", [10**6, 500])
def test_causal_rows_are_those_that_are_packed_in_memory(
    tmp_path: Path, packing: Any, shard_tokens: int
) -> None:
    corpus = prepared(tmp_path, TEXTS, packing=packing, shard_tokens=shard_tokens)
    expected = [
        (piece.ids, piece.labels)
        for ids in documents(TEXTS, tiny_tokenizer("gpt2"))
        for piece in split(ids, LENGTH)
    ]
    assert any(labels[-1] != IGNORE for _, labels in expected)  # a document is split
    batches = every(corpus)
    assert sorted(text for batch in batches for text in texts_in(batch)) == sorted(expected)
    assert sum(batch.tokens for batch in batches) == corpus.rows.plan.tokens
    known = sum(int((batch.labels != IGNORE).sum()) for batch in batches)
    assert known == corpus.rows.plan.targets
    if packing == "packed":
        assert max(batch.inputs["input_ids"].shape[1] for batch in batches) == LENGTH
        assert len(corpus.rows) < len(expected)


@pytest.mark.parametrize("packing", ["packed", "grouped"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_masked_rows_hold_each_piece_with_its_special_tokens(
    tmp_path: Path, packing: Any, family: str
) -> None:
    corpus = prepared(tmp_path, TEXTS, family=family, kind="masked-lm", packing=packing)
    tokenizer = tiny_tokenizer(family)
    expected, room = [], LENGTH - 2
    for ids in tokenizer(TEXTS, add_special_tokens=False)["input_ids"]:
        for at in range(0, len(ids), room):
            piece = [tokenizer.cls_token_id, *ids[at : at + room], tokenizer.sep_token_id]
            expected.append(piece)
    batches = every(corpus)
    assert sorted(ids for batch in batches for ids, _ in texts_in(batch)) == sorted(expected)
    specials = 2 * len(expected)
    assert corpus.rows.plan.targets == corpus.rows.plan.tokens - specials
    for batch in batches:
        assert batch.labels is None
        if packing == "packed":
            mask, segments = batch.inputs["attention_mask"], batch.inputs["segment_ids"]
            assert ((segments > 0) == mask.bool()).all()
            begins = (batch.inputs["position_ids"] == 0) & mask.bool()
            assert (segments == begins.cumsum(1) * mask).all()


def test_rows_say_how_long_they_are(tmp_path: Path) -> None:
    corpus = prepared(tmp_path, TEXTS)
    order = np.arange(len(corpus.rows))[::-1]
    batch = corpus.rows.batch(order)
    assert batch.inputs["attention_mask"].sum(1).tolist() == corpus.rows.lengths(order).tolist()
    assert (batch.labels != IGNORE).sum(1).tolist() == corpus.rows.targets(order).tolist()
    assert batch.index == tuple(order.tolist())
