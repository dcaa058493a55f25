from pathlib import Path
from typing import Any

import pytest

from leanformer.data.chosen_columns import Columns
from leanformer.data.reading.words import sentences, word_columns
from leanformer.data.rows import Row
from leanformer.data.source import Source

WORDS, TAGS = ["Anna", "sleeps"], ["B-PER", "O"]


@pytest.mark.parametrize(
    ("row", "asked", "found"),
    [
        ({"words": WORDS, "tags": TAGS}, {}, ("words", "tags")),
        ({"id": "1", "Tokens": WORDS, "NER-tags": TAGS}, {}, ("Tokens", "NER-tags")),
        ({"tokens": WORDS, "labels": TAGS}, {}, ("tokens", "labels")),
        ({"text": "Anna sleeps", "tokens": WORDS, "ner_tags": TAGS}, {}, ("tokens", "ner_tags")),
        ({"text": "a b", "tokens": WORDS, "labels": TAGS}, {"kind": "tokens"}, ("tokens", "labels")),
        ({"tokens": WORDS, "pos_tags": TAGS, "ner_tags": TAGS}, {"label": "ner_tags"}, ("tokens", "ner_tags")),
        ({"w": WORDS, "t": TAGS}, {"text": "w", "label": "t"}, ("w", "t")),
        ({"words": WORDS, "upos": TAGS, "xpos": TAGS}, {}, ("words", "upos")),
        ({"text": "a", "labels": ["x"]}, {}, None),
        ({"text": "a", "label": "x", "tokens": WORDS}, {}, None),
        ({"text": "a", "label": "x", "tokens": WORDS, "tags": TAGS}, {"kind": "classification"}, None),
        ({"text": "a", "label": "x", "tokens": WORDS, "tags": TAGS}, {"label": "label"}, None),
        ({"text": "a", "tokens": WORDS, "tags": TAGS}, {"text": "text"}, None),
    ],
)  # fmt: skip
def test_columns_of_words_and_tags(
    row: dict[str, Any], asked: dict[str, str], found: tuple[str, str] | None
) -> None:
    chosen = word_columns(Row(row), Columns(**asked))
    assert (chosen and (chosen.text, chosen.label)) == found
    assert chosen is None or chosen.kind == "tokens"


@pytest.mark.parametrize(
    ("row", "asked", "message"),
    [
        ({"tokens": WORDS, "pos_tags": TAGS, "ner_tags": TAGS}, {}, r"columns 'pos_tags', 'ner_tags' may all be tags of words; say which: --label pos_tags"),
        ({"text": "a", "tokens": WORDS, "labels": TAGS}, {}, r"column 'labels' may hold the tags of 'tokens', or the labels of 'text'; .*--task tokens or --task multi-label"),
        ({"tokens": WORDS, "Tokens": WORDS, "tags": TAGS}, {}, r"'tokens' and 'Tokens' are named alike but for their case; say which: --text tokens"),
        ({"tokens": WORDS, "tags": TAGS}, {"label": "tag"}, r"--label tag: there is no such column \(did you mean 'tags'\?\); there are: tokens, tags"),
        ({"tokens": WORDS, "tags": TAGS}, {"kind": "regression"}, r"--task regression: the file has words with tags; that is --task tokens"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_asked_about(
    row: dict[str, Any], asked: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        word_columns(Row(row), Columns(**asked))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"w": WORDS, "t": [0, 1]}, r'a\.json:7: t holds the number 0 and not .*features\["t"\]\.feature\.names\), or "0" in'),
        ({"w": WORDS, "t": ["O", None]}, r"a\.json:7: t holds None; give each word a tag"),
        ({"w": WORDS, "t": ["O", " "]}, r"a\.json:7: t holds ' '; give each word a tag"),
        ({"w": ["a", None], "t": TAGS}, r"a\.json:7: an empty word; remove it with its tag"),
        ({"w": "a b", "t": TAGS}, r"a\.json:7: .* this row has w, t; give it a list of words \(w\)"),
    ],
)  # fmt: skip
def test_what_are_no_words_with_tags_is_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sentences("dev", [Row(row, "a.json:", 7)], Columns(text="w", label="t"))


def test_a_data_set_of_the_hubs_names_is_read(tmp_path: Path) -> None:
    lines = [f'{{"id": {n}, "Tokens": ["w{n}", "x"], "ner_tags": ["B-A", "O"]}}' for n in range(40)]
    (tmp_path / "train.json").write_text("[" + ",\n".join(lines) + "]")
    (tmp_path / "unsup.jsonl").write_text('{"Tokens": ["a", "b"]}\n{"Text": "c d"}\n')
    found = Source(path=str(tmp_path)).read()
    assert (found.task.kind, found.task.labels) == ("tokens", ("B-A", "O"))
    assert sorted([*found.train.texts, *found.dev.texts, *found.test.texts]) == sorted(
        f"w{n} x" for n in range(40)
    )
    assert found.unlabelled is not None
    assert found.unlabelled.words == [["a", "b"], ["c", "d"]]
