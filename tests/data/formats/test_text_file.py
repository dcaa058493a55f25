import gzip
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from leanformer.data.formats import text_file
from leanformer.data.formats.table import read_rows
from leanformer.data.formats.text_file import lines_of, read_bytes, read_text

TEXT = "text\tlabel\nnaïve – bad\tno\ngood film\tyes\n"
WIDE = ["utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", WIDE)
def test_wide_encodings_are_named_and_the_way_out_works(
    tmp_path: Path, encoding: str, packed: bool
) -> None:
    path = tmp_path / f"a.tsv{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(TEXT.encode(encoding)) if packed else TEXT.encode(encoding))
    with pytest.raises(ValueError, match=rf"this is {encoding.upper()}, and UTF-8 is read") as said:
        read_rows(path)
    command = str(said.value).split("convert it first: ")[1]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert read_text(tmp_path / "utf8-a.tsv") == TEXT


@pytest.mark.parametrize("text", ["", "a", "ab", "naïve", "日本語の文", "\ufeff日本", "a\0b"])
def test_utf8_is_never_taken_for_a_wide_encoding(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert read_text(tmp_path / "a.txt") == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\r\nb\r\n\r\nc", ["a", "b", "", "c"]),
        ("a\rb\r", ["a", "b"]),
        ("a\u2028b\x0bc\rd\n\n", ["a\u2028b\x0bc\rd", ""]),
        ("", [""]),
    ],
)
def test_lines(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


@pytest.mark.parametrize(
    "raw",
    [
        b"text\tlabel\n",
        gzip.compress(TEXT.encode(), mtime=0)[:-9],
        gzip.compress(TEXT.encode(), mtime=0)[:10] + b"\xff" * 30,
    ],
)
def test_a_broken_gzip_file_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(raw)
    with pytest.raises(ValueError, match=r"a\.tsv\.gz: broken gzip file"):
        read_bytes(tmp_path / "a.tsv.gz")


def test_the_command_for_a_name_with_spaces_works_too(tmp_path: Path) -> None:
    (tmp_path / "my $data.tsv").write_bytes("text\tlabel\ncafé\ta\n".encode("latin1"))
    with pytest.raises(ValueError, match=r"is not UTF-8; convert it first, e\.g\. cat") as said:
        read_rows(tmp_path / "my $data.tsv")
    subprocess.run(str(said.value).split("e.g. ")[1], shell=True, check=True, cwd=tmp_path)
    assert read_rows(tmp_path / "utf8-my $data.tsv") == [{"text": "café", "label": "a"}]


def test_other_bytes_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"text\tlabel\nfine\ta\ncaf\xe9\tb\n")
    with pytest.raises(
        ValueError, match=r"a\.tsv:3: byte 0xe9 is not UTF-8; .*iconv -f latin1 -t utf-8 > utf8-a"
    ):
        read_text(tmp_path / "a.tsv")


def test_a_gzip_file_unpacks_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a text\n" * 2**20))
    assert len(read_bytes(path)) == 7 * 2**20
    monkeypatch.setattr(text_file, "MAX_UNPACKED", 3 * 2**20)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a\.txt\.gz: it unpacks to more than 3 MiB.*gunzip"):
        read_bytes(path)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20  # 7 MiB are not unpacked first
    tracemalloc.stop()
