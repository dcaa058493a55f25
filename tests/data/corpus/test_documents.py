import gzip
import json
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from leanformer.data.corpus import documents as module
from leanformer.data.corpus.documents import documents_of

TEXTS = ["The first one.", "naïve – second", "third"]


def texts(path: Path, **settings: str) -> list[str]:
    return [one.text for one in documents_of(path, **settings)]


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def as_parquet(path: Path, table: dict[str, list[object]], rows: int = 2) -> Path:
    parquet.write_table(pyarrow.table(table), path, row_group_size=rows)
    return path


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_every_format_gives_the_same_documents(tmp_path: Path, gz: str) -> None:
    plain = write(tmp_path / f"a.txt{gz}", "\n\n".join(TEXTS).encode())
    objects = "\n".join(json.dumps({"id": 1, "text": text}) for text in [*TEXTS, "  "])
    lined = write(tmp_path / f"a.jsonl{gz}", objects.encode())
    as_parquet(tmp_path / "a.parquet", {"id": [1] * 4, "text": [*TEXTS, ""]})
    table = write(tmp_path / f"b.parquet{gz}", (tmp_path / "a.parquet").read_bytes())
    for path in (plain, lined, table):
        assert texts(path) == TEXTS
    places = [[one.place for one in documents_of(path)][1] for path in (plain, lined, table)]
    assert places == [f"{plain}:3", f"{lined}:2", f"{table} row 2"]
    for path in (plain, lined, table):
        done = [one.done for one in documents_of(path)]
        assert done == sorted(done)
        assert done[-1] <= path.stat().st_size


def test_blank_lines_separate_documents_where_they_should(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"\n = Title = \nfirst line\n \n\nsecond\nrest")
    found = list(documents_of(path, between="blank-lines"))
    assert [(one.text, one.place) for one in found] == [
        (" = Title = \nfirst line", f"{path}:2"),
        ("second\nrest", f"{path}:6"),
    ]
    assert len(texts(path)) == 4


def test_the_column_is_named_or_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"title": "t", "Content": "c"}\n{"Content": "d"}')
    assert texts(path) == ["c", "d"]
    with pytest.raises(ValueError, match=r"a\.jsonl:2: no column 'title'; there are: Content"):
        texts(path, text="title")
    with pytest.raises(ValueError, match=r"a\.jsonl:1: there is no column 'titel'.* title"):
        texts(path, text="titel")
    table = as_parquet(tmp_path / "a.parquet", {"n": [1], "body_html": ["x"]})
    with pytest.raises(ValueError, match=r"a\.parquet: no column of text is recognised among n, b"):
        texts(table)
    assert texts(table, text="body_html") == ["x"]


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("a.csv", b"text\nx", r"a\.csv: unknown format; use \.txt, \.jsonl, \.parquet"),
        ("a.txt", b" \n\n", r"a\.txt: the file holds no text; give another one"),
        ("a.jsonl", b'{"text": ""}', r"a\.jsonl: the file holds no text"),
        ("a.jsonl", b'{"text": "a"}\n{"text"', r"a\.jsonl:2: not JSON .*write one object per line"),
        ("a.jsonl", b'{"text": "a"}\n[1]', r"a\.jsonl:2: '\[1\]' is not a JSON object"),
        ("a.jsonl", b'{"text": null}', r"a\.jsonl:1: text is None .*, not a text; leave the row"),
        ("a.jsonl", b'{"text": 3}', r"a\.jsonl:1: text is 3 \(int\), not a text"),
        ("a.parquet", b"PAR1 no", r"a\.parquet: damaged Parquet file"),
        ("a.parquet.gz", b"PAR1 no", r"a\.parquet\.gz: damaged Parquet file"),
    ],
)
def test_bad_input_is_refused(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        texts(write(tmp_path / name, raw))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.jsonl: no such file"):
        texts(tmp_path / "a.jsonl")


def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"text": ["a text of some length"] * 500})
    parquet.write_table(table, path, compression="none", write_page_checksum=True)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"some length", b"same length", 1))
    with pytest.raises(ValueError, match=r"a\.parquet: damaged Parquet file"):
        texts(path)


def test_documents_too_large_for_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2**20)
    path = write(tmp_path / "a.txt", b"a few words\n" * 2**17)
    with pytest.raises(ValueError, match=r'a\.txt:1: more than 1 MiB .* documents = "lines"'):
        texts(path, between="blank-lines")
    long = write(tmp_path / "a.jsonl", json.dumps({"text": "ab" * 2**20}).encode())
    with pytest.raises(ValueError, match=r"a\.jsonl:1: text has 2,097,152 characters"):
        texts(long)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_parquet(tmp_path / "a.parquet", {"text": ["a"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'leanformer\[parquet\]'"):
        texts(path)


def test_half_characters_are_replaced(tmp_path: Path) -> None:
    assert texts(write(tmp_path / "a.jsonl", b'{"text": "a\\ud83d"}')) == ["a\ufffd"]
