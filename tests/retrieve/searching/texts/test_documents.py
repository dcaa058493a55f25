import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from search_cases import write_notes

from leanformer.data.corpus import tables
from leanformer.retrieve.searching.texts.documents import Document, Texts, Unreadable


def read(path: Path, **columns: Any) -> list[Any]:
    return list(Texts(path=path, **columns).read())


def test_a_folder_is_read_below_and_hidden_or_other_files_are_not(tmp_path: Path) -> None:
    found = read(write_notes(tmp_path))
    assert [one.name for one in found] == [
        "blood.md",
        "post/letter.txt",
        "post/parcel.txt",
        "東京.md",
    ]
    assert all(one.metadata == {"source": one.name} for one in found)
    assert found[0].text.startswith("# Blood")
    assert found[-1].done == Texts(path=tmp_path).bytes()


def test_a_folder_of_results_within_the_texts_is_left_out(tmp_path: Path) -> None:
    write_notes(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.txt").write_text("not a text of the user")
    names = [file.name for file in Texts(path=tmp_path).files(leave_out=tmp_path / "out")]
    assert "x.txt" not in names
    assert "blood.md" in names


def test_one_file_and_a_gzipped_one_are_documents(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.txt.gz", "wt") as file:
        file.write("iron rusts")
    assert read(tmp_path / "a.txt.gz")[0][:3] == ("a.txt.gz", "iron rusts", {"source": "a.txt.gz"})


ROWS = [
    {"id": "x1", "text": "iron", "year": 1962, "tags": ["a", "b"], "more": {"deep": [1]}},
    {"id": "x2", "text": " "},
    {"id": "x3", "text": "oxygen", "year": None},
]


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_rows_are_documents_with_the_other_columns_as_metadata(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"t.{form}"
    if form == "parquet":
        rows = [{**row, "more": None} for row in ROWS]
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        lines = [json.dumps(row) for row in ROWS]
        file.write_text("\n".join(lines) if form == "jsonl" else f"[{','.join(lines)}]")
    first, last = read(file)
    assert (first.name, first.text, last.name) == ("x1", "iron", "x3")
    deep = {} if form == "parquet" else {"more": '{"deep": "[1]"}'}
    assert first.metadata == {"source": f"t.{form}", "id": "x1", "year": 1962, "tags": ["a", "b"]} | deep | (
        {"more": '{"deep": [1]}'} if deep else {}
    )  # fmt: skip
    assert last.metadata == {"source": f"t.{form}", "id": "x3"}


def test_rows_without_ids_are_named_by_their_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('content,source\n"two\nlines",web\noxygen,book\n')
    first, last = read(tmp_path / "t.csv")
    assert (first.name, last.name) == ("t.csv:2", "t.csv:4")
    assert last.metadata == {"source": "book"}


def test_columns_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("no\tbody\ttext\n7\tiron\tx\n")
    (found,) = read(tmp_path / "t.tsv", text="body", id="no")
    assert (found.name, found.text) == ("7", "iron")


@pytest.mark.parametrize(
    ("name", "text", "columns", "said"),
    [
        ("t.csv", "body,x\na,b\n", {"text": "bodi"}, r"no column 'bodi' \(did you mean 'body'"),
        ("t.csv", "text,x\na,b\n", {"id": "idd"}, "there is no column 'idd'; there are: text, x"),
        ("t.csv", "text,end_char\na,b\n", {}, "'end_char' has the name that a passage's own"),
        ("t.pdf", "x", {}, r"unknown format; name a folder of texts, or a file \(.txt"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    tmp_path: Path, name: str, text: str, columns: dict[str, str], said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        read(tmp_path / name, **columns)


def test_texts_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        read(tmp_path / "nowhere")
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"no text in this folder .* it has 1 other file$"):
        read(tmp_path)


def test_documents_that_cannot_be_read_are_given_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notes(tmp_path)
    (tmp_path / "latin.txt").write_bytes("café".encode("latin1"))
    (tmp_path / "torn.md.gz").write_bytes(gzip.compress(b"x" * 100)[:-9])
    monkeypatch.setattr("leanformer.retrieve.searching.texts.documents._MOST", 100)
    (tmp_path / "huge.txt").write_text("x" * 101)
    found = {one.name: one.reason for one in read(tmp_path) if isinstance(one, Unreadable)}
    assert sorted(found) == ["huge.txt", "latin.txt", "torn.md.gz"]
    assert "is not UTF-8" in found["latin.txt"]
    assert "broken gzip" in found["torn.md.gz"]
    assert "split files of more than" in found["huge.txt"]


def test_rows_that_cannot_be_read_are_given_with_the_reason(tmp_path: Path) -> None:
    lines = ['{"id": "a", "text": 3}', '{"id": null, "text": "x"}', '{"id": 4, "text": "y"}', "{"]
    raw = "\n".join(lines).encode() + b'\n{"id": 5, "text": "caf\xe9"}\n'
    (tmp_path / "t.jsonl").write_bytes(raw)
    first, second, third, fourth, fifth = read(tmp_path / "t.jsonl")
    assert first.name == "a"
    assert "t.jsonl:1: text is 3 (int), not a text" in first.reason
    assert "t.jsonl:2: id is empty" in second.reason
    assert "t.jsonl:4: " in fourth.reason
    assert "t.jsonl:5: byte 0xe9 is not UTF-8" in fifth.reason
    assert isinstance(third, Document)
    assert third.name == "4"


def test_a_row_of_csv_that_cannot_be_read_is_given_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\na,iron\nb,too,many\nc,oxygen\n")
    first, second, third = read(tmp_path / "t.csv")
    assert (first.name, third.name) == ("a", "c")
    assert second.name == "t.csv:3"
    assert "t.csv:3: 3 fields where the header has 2" in second.reason


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_tables_are_streamed(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_HEAD", 2**16)  # of a csv, which tells its separator

    def peak(count: int) -> int:
        file = tmp_path / f"{count}.{form}"
        words = "word " * 200
        if form == "parquet":
            texts = {
                "id": [*map(str, range(count))],
                "text": [f"{n} {words}" for n in range(count)],
            }
            pq.write_table(pa.table(texts), file)
        elif form == "jsonl":
            lines = [json.dumps({"id": str(n), "text": f"{n} {words}"}) for n in range(count)]
            file.write_text("\n".join(lines))
        else:
            mark = "," if form == "csv" else "\t"
            lines = [f"id{mark}text", *(f"{n}{mark}{n} {words}" for n in range(count))]
            file.write_text("\n".join(lines))
        tracemalloc.start()
        try:
            assert sum(isinstance(one, Document) for one in Texts(path=file).read()) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is imported
    assert peak(8000) < 8000 * 1000 / 8
