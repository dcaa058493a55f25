import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data import table
from leanformer.data.table import FORMATS, format_of, read_rows

ROWS = [{"text": "good film", "label": "yes"}, {"text": "naïve – bad", "label": "no"}]
CONLL = [
    {"words": ["Anna", "sleeps"], "tags": ["B-PER", "O"]},
    {"words": ["Rome"], "tags": ["B-LOC"]},
]
WRITTEN = {
    ".tsv": ("text\tlabel\ngood film\tyes\nnaïve – bad\tno\n", ROWS),
    ".csv": ('text,label\n"good film",yes\nnaïve – bad,no\n', ROWS),
    ".jsonl": ("".join(json.dumps(row) + "\n\n" for row in ROWS), ROWS),
    ".json": ("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), ROWS),
    ".txt": (
        "good film\n\nnaïve – bad\n",
        [{"text": "good film"}, {"text": "naïve – bad"}],
    ),
    ".conll": ("\nAnna\tB-PER\nsleeps\tO\n\n\nRome NNP B-LOC\n", CONLL),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", FORMATS)
def test_each_format_is_read(tmp_path: Path, suffix: str, packed: bool) -> None:
    text, rows = WRITTEN[suffix]
    path = tmp_path / f"train{suffix}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert read_rows(path) == rows
    assert format_of(path) == suffix


@pytest.mark.parametrize("suffix", FORMATS)
def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path, suffix: str) -> None:
    text, rows = WRITTEN[suffix]
    path = tmp_path / f"train{suffix}"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_rows(path) == rows


def test_tsv_has_no_quoting_and_csv_has(tmp_path: Path) -> None:
    tsv, csv = tmp_path / "a.tsv", tmp_path / "a.csv"
    tsv.write_text('text\tlabel\n"open\ta\n')
    csv.write_text('text,label\n"two\nlines, one ""field""",a\n')
    assert read_rows(tsv) == [{"text": '"open', "label": "a"}]
    assert read_rows(csv) == [{"text": 'two\nlines, one "field"', "label": "a"}]


FIELD = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=("Cs",)), min_size=1)


@given(rows=st.lists(st.tuples(FIELD, FIELD), min_size=1))
def test_what_is_written_as_tsv_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("tsv") / "train.tsv"
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    path.write_bytes("\n".join(lines).encode())
    assert [tuple(row.values()) for row in read_rows(path)] == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xml", b"<a/>", r"a\.xml: unknown format; use \.tsv, \.csv, .* each plain or \.gz"),
        ("a.tsv", b"text\tlabel\n", r"a\.tsv: the file holds no row"),
        ("a.csv", b"", r"a\.csv: the file holds no row"),
        ("a.txt", b"\n \n", r"a\.txt: the file holds no row"),
        ("a.tsv", b"text\tlabel\na\tb\nc\n", r"a\.tsv:3: 1 fields where the header has 2 \(text, label\)"),
        ("a.csv", b"text,label\na,b,c\n", r"a\.csv:2: 3 fields where the header has 2"),
        ("a.csv", b'text,label\n"' + b"x" * 140_000 + b'",b\n', r"a\.csv:2: no CSV \(field larger"),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', r"a\.jsonl:2: not JSON \(.*\); write one object per line"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: not JSON \(.*recursion.*\); write one object"),
        ("a.jsonl", b'{"a": ' + b"1" * 5000 + b"}", r"a\.jsonl:1: not JSON \(.*digits.*\)"),
        ("a.jsonl", b"[1, 2]\n", r"a\.jsonl:1: '\[1, 2\]' is not a JSON object"),
        ("a.conll", b"Anna\tB-PER\nsleeps\n", r"a\.conll:2: 'sleeps' has no tag; write token<TAB>tag"),
        ("a.tsv", b"text\tlabel\nfine\ta\ncaf\xe9\tb\n", r"a\.tsv:3: byte 0xe9 is not UTF-8; .*iconv -f latin1"),
        ("a.tsv.gz", b"text\tlabel\n", r"a\.tsv\.gz: broken gzip file"),
        ("a.tsv.gz", gzip.compress(b"text\tlabel\na\tb\n", mtime=0)[:-9], r"broken gzip file"),
        ("a.tsv.gz", gzip.compress(b"text\tlabel\na\tb\n", mtime=0)[:10] + b"\xff" * 30, r"broken gzip file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_rows(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.tsv: no such file"):
        read_rows(tmp_path / "absent.tsv")


def test_a_gzip_file_unpacks_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a text\n" * 2**20))
    assert len(read_rows(path)) == 2**20
    monkeypatch.setattr(table, "MAX_UNPACKED", 3 * 2**20)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a\.txt\.gz: it unpacks to more than 3 MiB.*gunzip"):
        read_rows(path)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20  # 7 MiB are not unpacked first
    tracemalloc.stop()
