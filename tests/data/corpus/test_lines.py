import gzip
from pathlib import Path

import pytest

from leanformer.data.corpus import lines as module
from leanformer.data.corpus.lines import lines


@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_numbered_and_end_with_either_mark(tmp_path: Path, packed: bool) -> None:
    raw = "\ufeffnaïve\r\n\na b\u2028c\rd".encode()
    path = tmp_path / f"a.txt{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    found = list(lines(path))
    assert [(line.number, line.text) for line in found] == [
        (1, "naïve"),
        (2, ""),
        (3, "a b\u2028c\rd"),
    ]
    done = [line.done for line in found]
    assert done == sorted(done)
    assert done[-1] == path.stat().st_size


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    assert list(lines(tmp_path / "a.txt")) == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.txt: no such file"):
        next(lines(tmp_path / "a.txt"))


def test_other_encodings_are_refused_with_the_line_and_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("one\ntwo\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"a\.txt: this is UTF-16, .* iconv -f utf-16 -t utf-8"):
        next(lines(path))
    path.write_bytes(b"one\ncaf\xe9\n")
    found = lines(path)
    assert next(found).text == "one"
    with pytest.raises(ValueError, match=r"a\.txt:2: byte 0xe9 is not UTF-8; convert it first"):
        next(found)


def test_broken_gzip_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"one\n" * 1000)[:-9])
    with pytest.raises(ValueError, match=r"a\.txt\.gz: broken gzip file"):
        list(lines(path))


def test_a_file_without_lines_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2**20)
    (tmp_path / "a.txt").write_bytes(b"x\n" + b"y\r" * 2**20)
    with pytest.raises(ValueError, match=r"a\.txt:2: a line of more than 1 MiB; .* put line feeds"):
        list(lines(tmp_path / "a.txt"))
