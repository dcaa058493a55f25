import gzip
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value
from pyarrow import parquet

from leanformer.data.formats.parquet import parquet_rows

ROWS = {"text": ["good film", None, "naïve – bad"], "label": ["yes", "no", "no"], "n": [1, 2, 3]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    parquet.write_table(pyarrow.table(ROWS), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def test_rows_are_read_with_their_place(path: Path) -> None:
    found = parquet_rows(path)
    assert found == pyarrow.table(ROWS).to_pylist()
    assert [row.place for row in found] == [f"{path} row {n}" for n in (1, 2, 3)]
    packed = path.with_suffix(".parquet.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert parquet_rows(packed) == found


def test_numbers_become_the_names_that_datasets_wrote(tmp_path: Path) -> None:
    features = Features(
        {
            "tokens": Sequence(Value("string")),
            "ner_tags": Sequence(ClassLabel(names=["O", "B-PER"])),
            "label": ClassLabel(names=["no", "yes"]),
        }
    )
    rows = {"tokens": [["Anna", "is"], ["a"]], "ner_tags": [[1, 0], [0]], "label": [1, -1]}
    Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "a.parquet"))
    assert parquet_rows(tmp_path / "a.parquet") == [
        {"tokens": ["Anna", "is"], "ner_tags": ["B-PER", "O"], "label": "yes"},
        {"tokens": ["a"], "ner_tags": ["O"], "label": None},
    ]


@pytest.mark.parametrize("said", [b"{", b"[]", b'{"info": {"features": [1]}}', b'{"info": 3}'])
def test_features_that_cannot_be_read_name_nothing(tmp_path: Path, said: bytes) -> None:
    table = pyarrow.table({"label": [0, 1]}).replace_schema_metadata({b"huggingface": said})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert parquet_rows(tmp_path / "a.parquet") == [{"label": 0}, {"label": 1}]


def test_the_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    parquet.write_table(
        pyarrow.table({"text": ["a"], "__index_level_0__": [7]}), tmp_path / "a.parquet"
    )
    assert parquet_rows(tmp_path / "a.parquet") == [{"text": "a"}]


def test_damaged_files_are_refused_or_read_wherever_the_damage_is(path: Path) -> None:
    raw = path.read_bytes()
    pieces: list[Any] = [raw[:cut] for cut in range(0, len(raw), 97)]
    pieces += [raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :] for at in range(0, len(raw), 23)]
    said = []
    for piece in pieces:
        path.write_bytes(piece)
        try:
            parquet_rows(path)
        except ValueError as error:
            said.append(str(error))
    assert len(said) > len(pieces) / 4
    assert all(one.startswith(f"{path}: ") for one in said)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.parquet: damaged Parquet file"):
        parquet_rows(path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pyarrow.table([["a"], ["b"]], names=["text", "text"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet: two columns are called 'text'; rename one"):
        parquet_rows(tmp_path / "a.parquet")


def test_without_pyarrow_the_way_to_it_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"a\.parquet: .* pip install 'leanformer\[parquet\]'"):
        parquet_rows(path)
