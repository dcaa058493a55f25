import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leanformer.data import Dataset, Source
from leanformer.data.identity import identify_data

ROWS = [
    {
        "anchor": f"where is the fox of {row}",
        "positive": f"over the lazy dog {row}",
        "negatives": [f"my card is here {row}", "never ever"][: 1 + row % 2],
        "teacher": [3.0, 1.5, -2.0][: 2 + row % 2],
    }
    for row in range(30)
]


def jsonl(folder: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    folder.mkdir(exist_ok=True)
    for split in ("train", "dev", "test"):
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def read(path: Path, **fields: Any) -> Dataset:
    return Source(path=str(path), kind="embedding", **fields).read()


def test_anchors_positives_and_negatives_are_found_by_their_names(tmp_path: Path) -> None:
    dataset = read(jsonl(tmp_path), scores="teacher")
    found = dataset.train.relations
    assert found is not None
    assert found.anchors[1] == ROWS[1]["anchor"]
    assert found.candidates(1) == (ROWS[1]["positive"], *ROWS[1]["negatives"])
    assert found.scores is not None
    assert found.scores[:2] == ((3.0, 1.5), (3.0, 1.5, -2.0))
    assert len(dataset.train.texts) == 30 + 30 + 30 + 1  # "never ever" once
    assert dataset.origin is not None
    assert dataset.origin.columns["negatives"] == "negatives"
    assert dataset.origin.columns["teacher's scores"] == "teacher"
    assert dataset.train.take([0]).relations is None


def test_parquet_and_columns_of_a_csv_say_the_same(tmp_path: Path) -> None:
    expected = read(jsonl(tmp_path / "a"), scores="teacher").train.relations
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    for split in ("train", "dev", "test"):
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "b" / f"{split}.parquet")
        lines = ["anchor,positive,negative_1,negative_2,s0,s1,s2"]
        for row in ROWS:
            own, scores = (*row["negatives"], "")[:2], (*row["teacher"], "")[:3]
            lines.append(",".join(map(str, (row["anchor"], row["positive"], *own, *scores))))
        (tmp_path / "c" / f"{split}.csv").write_text("\n".join(lines) + "\n")
    assert read(tmp_path / "b", scores="teacher").train.relations == expected
    assert read(tmp_path / "c", scores="s0,s1,s2").train.relations == expected


def test_labels_are_kept_as_they_are_written(tmp_path: Path) -> None:
    rows = [
        {"sentence1": f"the fox {row}", "sentence2": f"the dog {row}", "score": row % 6}
        for row in range(20)
    ]
    dataset = read(jsonl(tmp_path, rows))
    assert dataset.train.relations is not None
    assert dataset.train.relations.labels is not None
    assert dataset.train.relations.labels[:3] == ("0", "1", "2")
    assert dataset.train.labels is None
    assert dataset.train.texts[20] == "the dog 0"
    del rows[3]["score"]
    assert read(jsonl(tmp_path, rows)).train.relations.labels[3] == ""  # type: ignore[union-attr,index]
    changed = identify_data(dataset)["train"], identify_data(read(tmp_path))["train"]
    assert changed[0]["texts"] == changed[1]["texts"]
    assert changed[0]["relations"] != changed[1]["relations"]


def test_an_anchor_lies_on_one_side_of_a_split_with_all_its_pairs(tmp_path: Path) -> None:
    rows = [{"anchor": f"a {row // 3}", "positive": f"p {row}"} for row in range(120)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = Source(path=str(tmp_path / "t.jsonl"), kind="embedding").read()
    splits = [split.relations for split in (found.train, found.dev, found.test)]
    assert sum(len(own) for own in splits if own is not None) == 120
    sides = [set(own.anchors) for own in splits if own is not None]
    assert len(set().union(*sides)) == sum(map(len, sides)) == 40


def test_single_texts_have_none(tmp_path: Path) -> None:
    dataset = read(jsonl(tmp_path, [{"text": f"the fox {row}"} for row in range(20)]))
    assert dataset.train.relations is None
    assert "relations" not in identify_data(dataset)["train"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = jsonl(tmp_path)
    with pytest.raises(ValueError, match=r"negatives: only models that make vectors learn"):
        Source(path=str(folder), negatives="negatives")
    with pytest.raises(
        ValueError, match=r"scores: there is no column 'teachr' \(did you mean 'teacher'"
    ):
        read(folder, scores="teachr")
    with pytest.raises(ValueError, match=r"train\.jsonl:2: 3 scores for 2 texts"):
        scored = [{**ROWS[0], "teacher": [1, 2, 3][: 2 + row % 2]} for row in range(20)]
        read(jsonl(tmp_path, scored), scores="teacher")
    with pytest.raises(ValueError, match=r"train\.jsonl:1: teacher is 'high', not a finite number"):
        read(jsonl(tmp_path, [{**ROWS[0], "teacher": ["high", 1.0]}] * 20), scores="teacher")
    with pytest.raises(ValueError, match=r"train\.jsonl:1: negatives is 7, not a text"):
        read(jsonl(tmp_path, [{**ROWS[0], "negatives": [7]}] * 20))
    single = [{"text": f"the fox {row}", "wrong": "a dog"} for row in range(20)]
    with pytest.raises(ValueError, match="negatives: there is no second text"):
        read(jsonl(tmp_path, single), text="text", negatives="wrong")
