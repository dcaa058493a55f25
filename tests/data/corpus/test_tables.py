"""Rows of tables, streamed: all columns, equal to what the reader that holds a file gives."""

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from leanformer.data.corpus.tables import source_of, stream_table
from leanformer.data.formats.table import read_rows

ROWS = [{"key": "a", "text": "the film", "note": "1"}, {"key": "b", "text": "", "note": "2"}]
TEXTS = {
    ".csv": 'key,text,note\na,the film,1\n\nb,"",2\n',
    ".tsv": "key\ttext\tnote\na\tthe film\t1\n\nb\t\t2\n",
    ".jsonl": '{"key": "a", "text": "the film", "note": "1"}\n\n'
    '{"key": "b", "text": "", "note": "2"}\n',
}


def written(folder: Path, form: str) -> Path:
    path = folder / f"t{form}"
    if form == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        path.write_text(TEXTS[form])
    return path


@pytest.mark.parametrize("form", [*TEXTS, ".parquet"])
def test_rows_and_their_places_are_those_of_the_reader_that_holds_the_file(
    form: str, tmp_path: Path
) -> None:
    path = written(tmp_path, form)
    found, held = list(stream_table(path, list)), read_rows(path)
    assert [one.row for one in found] == [dict(row) for row in held] == ROWS
    assert [f"{source_of(path)}{one.number}" for one in found] == [row.place for row in held]
    assert found[-1].done == path.stat().st_size


def test_a_row_that_cannot_be_read_is_given_with_its_error_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "t.csv").write_bytes(b"key,text\na,b\na,b,c\nd,caf\xe9\ne,f\n")
    found = list(stream_table(tmp_path / "t.csv", list))
    assert [one.number for one in found] == [2, 3, 4, 5]
    assert "t.csv:3: 3 fields where the header has 2" in found[1].error
    assert "t.csv:4: byte 0xe9 is not UTF-8" in found[2].error
    assert [one.row for one in found if not one.error] == [
        {"key": "a", "text": "b"},
        {"key": "e", "text": "f"},
    ]


def test_parquet_reads_the_columns_that_are_chosen_with_the_names_of_their_classes(
    tmp_path: Path,
) -> None:
    about = b'{"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}'
    table = pyarrow.table({"text": ["a"], "label": [1], "__index_level_0__": [5]})
    parquet.write_table(
        table.replace_schema_metadata({b"huggingface": about}), tmp_path / "t.parquet"
    )
    asked = list[list[str]]()

    def choose(names: list[str]) -> list[str]:
        asked.append(names)
        return names[-1:]

    (only,) = stream_table(tmp_path / "t.parquet", choose)
    assert only.row == {"label": "yes"}
    assert asked == [["text", "label"]]
    (one,) = stream_table(tmp_path / "t.parquet", lambda names: ["text"])
    assert one.row == {"text": "a"}


def test_a_parquet_file_with_two_columns_of_one_name_is_refused_if_they_are_read(
    tmp_path: Path,
) -> None:
    columns = [pyarrow.array(["a"]), pyarrow.array(["b"]), pyarrow.array(["c"])]
    table = pyarrow.Table.from_arrays(columns, names=["text", "x", "x"])
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="two columns are called 'x'; rename one"):
        list(stream_table(tmp_path / "t.parquet", list))
    (one,) = stream_table(tmp_path / "t.parquet", lambda names: ["text"])
    assert one.row == {"text": "a"}
