"""Texts with ids, streamed: equal to what the readers that hold whole files give."""

import csv
import gzip
import json
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from leanformer.data.corpus import records as module
from leanformer.data.corpus.records import Record, Records, record_files, stream_records
from leanformer.data.formats.table import read_rows

ROWS = [
    {"key": "a", "text": "the film", "note": "1"},
    {"key": "b", "text": 'said "no", twice\nand left', "note": "2"},
    {"key": "ü", "text": "我爱 café", "note": "3"},
    {"key": "d", "text": "the film", "note": "4"},
]


def written(folder: Path, form: str) -> Path:
    """`ROWS` in a format; a tsv cannot hold a line feed."""
    path = folder / f"texts{form}"
    rows = [{**row, "text": row["text"].replace("\n", " ")} for row in ROWS]
    if form == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ROWS[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(ROWS)
    elif form == ".tsv":
        lines = ["\t".join(ROWS[0]), *("\t".join(row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    elif form == ".jsonl":
        path.write_text("\n\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    elif form == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        path.write_text("\n".join(row["text"] for row in rows), encoding="utf-8")
    return path


def found(path: Path, *, keep_errors: bool = False, **columns: str | None) -> list[Record]:
    return list(stream_records(Records(path=path, **columns), keep_errors=keep_errors))


@pytest.mark.parametrize("form", [".csv", ".tsv", ".jsonl", ".parquet", ".txt"])
@pytest.mark.parametrize("packed", [False, True])
def test_rows_are_those_of_the_reader_that_holds_the_file(
    form: str, packed: bool, tmp_path: Path
) -> None:
    path = written(tmp_path, form)
    if packed:
        path = path.with_name(path.name + ".gz")
        path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    records, rows = found(path), read_rows(path)
    assert [one.text for one in records] == [row["text"] for row in rows]
    assert [one.place for one in records] == [row.place for row in rows]
    assert [one.id for one in records] == [str(row.number) for row in rows]
    done = [one.done for one in records]
    assert done == sorted(done)
    assert done[-1] <= path.stat().st_size
    if form != ".txt":
        assert [one.id for one in found(path, id="key")] == [row["key"] for row in rows]
        assert [one.text for one in found(path, column="note")] == ["1", "2", "3", "4"]


@given(
    st.lists(
        st.tuples(st.text("ab,;\"'\n |\t", min_size=1), st.text("xyz", min_size=1)), min_size=1
    )
)
def test_any_csv_is_read_as_by_python(rows: list[tuple[str, str]]) -> None:
    rows = [(text, key) for text, key in rows if text.strip()]
    if not rows:
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerows([("text", "key"), *rows])
        records = found(path, column="text", id="key")
    assert [(one.text, one.id) for one in records] == rows


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("id,text\n7,three\n")
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "notes.md").write_text("no")
    records = found(tmp_path)
    assert [(one.id, one.text) for one in records] == [
        ("a.txt:1", "one"), ("a.txt:3", "two"), ("b.csv:2", "three"),
    ]  # fmt: skip
    assert records[-1].done == sum(file.stat().st_size for file in record_files(tmp_path))


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.csv", b"id,text\n1,a\n2,a,b\n3,c\n", r"a\.csv:3: 3 fields where the header has 2"),
        ("a.csv", b"id,text\n1,a\n2,\n3,c\n", r"a\.csv:3: text is empty"),
        ("a.csv", b"id,text\n1,a\n,b\n3,c\n", r"a\.csv:3: id is '', not an id; ids are texts"),
        ("a.csv", b'id,text\n1,a\n2,"\xff\n."\n3,c\n', r"a\.csv:3: .*0xff.*"),
        ("a.tsv", b"id\ttext\n1\ta\n2\n3\tc\n", r"a\.tsv:3: 1 fields where the header has 2"),
        ("a.jsonl", b'{"id":1,"text":"a"}\nx\n{"id":3,"text":"c"}', r"a\.jsonl:2: not JSON"),
        ("a.jsonl", b'{"id":1,"text":"a"}\n{"id":2}\n{"id":3,"text":"c"}', r":2: no column 'text'"),
        ("a.jsonl", b'{"id":1,"text":"a"}\n{"id":2,"text":5}\n{"id":3,"text":"c"}', r"text is 5"),
        ("a.jsonl", b'{"id":1,"text":"a"}\n{"text":"b"}\n{"id":3,"text":"c"}', r"no column 'id'"),
        ("a.jsonl", b'{"id":1,"text":"a"}\n{"id":true,"text":"b"}\n{"id":3,"text":"c"}', "is true"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_or_kept_with_its_error(
    name: str, raw: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=f"(?i){message}"):
        found(path, id="id")
    records = found(path, id="id", keep_errors=True)
    assert [(one.id, one.text) for one in records if not one.error] == [("1", "a"), ("3", "c")]
    bad = [one for one in records if one.error]
    assert len(bad) == 1
    assert bad[0].text == ""
    assert bad[0].error.startswith(bad[0].place)


def test_a_text_that_is_not_utf8_is_kept_with_its_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\nb\xe9\nthree\n")
    with pytest.raises(ValueError, match=r"a\.txt:2"):
        found(path)
    assert [bool(one.error) for one in found(path, keep_errors=True)] == [False, True, False]


def test_a_text_that_is_too_long_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    (tmp_path / "a.txt").write_text("abcd\nabc\n")
    with pytest.raises(ValueError, match=r"a\.txt:1: text has 4 characters; split texts"):
        found(tmp_path / "a.txt")


def test_what_is_wrong_with_a_file_is_refused_whatever_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "open.csv").write_text('id,text\n1,"a\n')
    (tmp_path / "twice.csv").write_text("text,text\n1,a\n")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "empty").mkdir()
    for name, columns, message in (
        ("a.csv", {"column": "texd"}, r"no column 'texd' .did you mean 'text'"),
        ("a.csv", {"id": "key"}, r"no column 'key' for ids; there are: id, text"),
        ("open.csv", {}, r"open\.csv:2: not CSV"),
        ("twice.csv", {}, r"2 columns are called 'text'"),
        ("a.parquet", {}, r"a\.parquet: damaged Parquet file"),
        ("a.json", {}, r"unknown format; use \.txt, .*one object per line, as \.jsonl"),
        ("empty", {}, r"no file that can be read"),
    ):
        with pytest.raises(ValueError, match=message):
            found(tmp_path / name, keep_errors=True, **columns)
    with pytest.raises(FileNotFoundError, match="nothing: no such file or folder"):
        found(tmp_path / "nothing")


def test_an_empty_table_has_no_rows(tmp_path: Path) -> None:
    for name in ("a.csv", "a.tsv", "a.txt", "a.jsonl"):
        (tmp_path / name).write_text("")
        assert found(tmp_path / name) == []
