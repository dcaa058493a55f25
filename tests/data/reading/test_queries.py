"""Rows that belong to a query."""

from pathlib import Path
from typing import Any

import pytest

from leanformer.data import Dataset, Source
from leanformer.data.chosen_columns import Columns
from leanformer.data.reading.columns import to_dataset


def of(kind: str | None, *rows: dict[str, Any], **columns: Any) -> Dataset:
    splits = {split: [dict(row) for row in rows] for split in ("train", "dev", "test")}
    return to_dataset("x", splits, Columns(kind=kind, **columns))


ROWS = (
    {"query": "ä", "passage": "a", "label": "2"},
    {"query": "ä", "passage": "b", "label": "0"},
    {"query": "c", "passage": "d", "label": "1"},
)


def test_rows_of_one_query_belong_together_and_grades_end_at_one() -> None:
    found = of("ranking", *ROWS)
    assert found.task.metric == "ndcg@10"
    assert found.train.texts == found.train.groups == ["ä", "ä", "c"]
    assert found.train.pairs == ["a", "b", "d"]
    assert found.dev.labels == [1, 0, 0.5]
    assert found.test.take([2, 0]).groups == ["c", "ä"]


def test_an_id_of_the_query_groups_where_there_is_one() -> None:
    rows = [{**row, "qid": number // 2} for number, row in enumerate(ROWS)]
    assert of("ranking", *rows).train.groups == ["0", "0", "1"]
    named = [{**row, "who": "one"} for row in ROWS]
    assert of("ranking", *named, query_id="who").train.groups == ["one"] * 3


def test_the_text_may_be_called_so_beside_a_query() -> None:
    found = of("ranking", *({"question": "q", "text": str(n), "score": n} for n in (0, 1)))
    assert (found.train.texts, found.train.pairs) == (["q", "q"], ["0", "1"])


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (
            [{"query": "a", "passage": "x", "label": 1}, {"query": "b", "passage": "y", "label": 0}],
            {},
            "dev: no query has two texts of different grades, so that there is nothing to rank",
        ),
        ([{"query": "a", "label": 1}], {}, "ranking reads a query and a text, and no column"),
        (
            [{"query": "a", "passage": "x", "label": 0}],
            {},
            "train: column 'label' has no grade above 0",
        ),
        (
            [{"query": "a", "passage": "x", "label": 1, "qid": ""}],
            {},
            "train row 1: qid is missing; give each row its query's id",
        ),
        (
            [{"query": "a", "passage": "x", "label": 1}],
            {"query_id": "id"},
            "--query-id id: there is no such column",
        ),
    ],
)  # fmt: skip
def test_refusals(rows: list[Any], columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of("ranking", *rows, **columns)


def test_a_split_that_is_missing_takes_whole_queries(tmp_path: Path) -> None:
    lines = ["query\tpassage\tlabel"]
    lines += [f"q{number // 4}\tp{number}\t{number % 4}" for number in range(160)]
    (tmp_path / "all.tsv").write_text("\n".join(lines) + "\n")
    found = Source(path=str(tmp_path / "all.tsv"), kind="ranking").read()
    queries = [set(split.texts) for split in (found.train, found.dev, found.test)]
    assert sum(map(len, queries)) == 40
    assert min(map(len, queries)) >= 3
    assert sum(len(split) for split in (found.train, found.dev, found.test)) == 160
