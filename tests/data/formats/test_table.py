import gzip
import io
import json
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from leanformer.data.formats.table import FORMATS, format_of, read_rows

ROWS = [{"text": "good film", "label": "yes"}, {"text": "naïve – bad", "label": "no"}]
CONLL = [
    {"words": ["Anna", "sleeps"], "tags": ["B-PER", "O"]},
    {"words": ["Rome"], "tags": ["B-LOC"]},
]
WORDS = "\nAnna NNP B-PER\nsleeps VBZ O\n\n\nRome NNP B-LOC\n"
WRITTEN = {
    ".tsv": ("text\tlabel\ngood film\tyes\nnaïve – bad\tno\n", ROWS),
    ".csv": ('text,label\n"good film",yes\nnaïve – bad,no\n', ROWS),
    ".jsonl": ("".join(json.dumps(row) + "\n\n" for row in ROWS), ROWS),
    ".json": (json.dumps(ROWS, ensure_ascii=False, indent=2), ROWS),
    ".txt": (
        "good film\n\nnaïve – bad\n",
        [{"text": "good film"}, {"text": "naïve – bad"}],
    ),
    ".conll": (WORDS, CONLL),
    ".conllu": (WORDS.replace(" ", "\t"), CONLL),
}
TEXTS = [suffix for suffix in FORMATS if suffix in WRITTEN]


def in_bytes(suffix: str) -> bytes:
    if suffix != ".parquet":
        return WRITTEN[suffix][0].encode()
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), stream)
    return stream.getvalue()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", FORMATS)
def test_each_format_is_read(tmp_path: Path, suffix: str, packed: bool) -> None:
    path = tmp_path / f"Train{suffix.upper()}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(in_bytes(suffix)) if packed else in_bytes(suffix))
    found = read_rows(path)
    assert found == (ROWS if suffix == ".parquet" else WRITTEN[suffix][1])
    assert format_of(path) == suffix
    assert all(row.place.startswith(str(path)) for row in found)


@pytest.mark.parametrize("suffix", TEXTS)
def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path, suffix: str) -> None:
    text, rows = WRITTEN[suffix]
    path = tmp_path / f"train{suffix}"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_rows(path) == rows


@pytest.mark.parametrize("suffix", TEXTS)
def test_rows_say_the_line_on_which_they_begin(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"train{suffix}"
    path.write_text(WRITTEN[suffix][0])
    lines = {".tsv": [2, 3], ".csv": [2, 3], ".conll": [2, 6], ".conllu": [2, 6]}
    numbers = lines.get(suffix, [1, 2 if suffix == ".json" else 3])
    between = " row " if suffix == ".json" else ":"
    assert [row.place for row in read_rows(path)] == [f"{path}{between}{n}" for n in numbers]


FIELD = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=("Cs",)), min_size=1)


@given(rows=st.lists(st.tuples(FIELD, FIELD), min_size=1))
def test_what_is_written_as_tsv_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("tsv") / "train.tsv"
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    path.write_bytes("\n".join(lines).encode())
    assert [tuple(row.values()) for row in read_rows(path)] == rows


EMPTY = {".tsv": b"text\tlabel\n", ".csv": b"text;label\n", ".json": b"[]\n", ".txt": b"\n \n"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_rows_is_refused(tmp_path: Path, suffix: str, packed: bool) -> None:
    path = tmp_path / f"a{suffix}{'.gz' if packed else ''}"
    no_rows = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), no_rows)
    contents = [EMPTY.get(suffix, b""), b"" if suffix != ".parquet" else no_rows.getvalue()]
    for raw in contents if suffix != ".parquet" else contents[1:]:
        path.write_bytes(gzip.compress(raw) if packed else raw)
        with pytest.raises(ValueError, match=rf"a\{suffix}(\.gz)?: the file holds no row"):
            read_rows(path)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<a/>")
    with pytest.raises(ValueError, match=r"a\.xml: unknown format; use \.tsv, .* each plain or"):
        read_rows(tmp_path / "a.xml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.tsv: no such file"):
        read_rows(tmp_path / "absent.tsv")
