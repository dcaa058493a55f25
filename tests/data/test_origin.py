from pathlib import Path
from typing import Any

import pytest

from leanformer.data import Source
from leanformer.data.chosen_columns import Columns
from leanformer.data.origin import columns_read


def test_columns_that_are_read_and_not() -> None:
    chosen = Columns(text="q", label="x,y")
    read, unread = columns_read(chosen, ["id", "q", "x", "y", "pair"])
    assert (read, unread) == ({"text": "q", "label": "x,y"}, ("id", "pair"))


def one_file(path: Path, bad: int, count: int = 60) -> Path:
    lines = [f"{n},text {n},{'ab'[n % 2]}" for n in range(1, count + 1)]
    lines[bad - 1] = f"{bad}, ,a"
    path.write_text("\n".join(["id,text,label", *lines]) + "\n")
    return path


@pytest.mark.parametrize("bad", [1, 17, 42, 60])
def test_an_error_names_the_row_of_the_file_after_a_split(bad: int, tmp_path: Path) -> None:
    path = one_file(tmp_path / "data.csv", bad)
    with pytest.raises(ValueError, match=rf"data\.csv:{bad + 1}: text is empty"):
        Source(path=str(path)).read()


def test_the_origin_of_one_file(tmp_path: Path) -> None:
    path = one_file(tmp_path / "data.csv", 1)
    path.write_text(path.read_text().replace("1, ,a", "1,text 1,a"))
    origin: Any = Source(path=str(path), limit=40).read().origin
    assert origin.files == {"train": "data.csv"}
    assert origin.columns == {"text": "text", "label": "label"}
    assert (origin.unread, origin.split_off) == (("id",), ("dev", "test"))
    assert (origin.kind_asked, origin.left_out) == (False, 60 - 6 - 5 - 40)


def test_the_origin_of_a_folder(tmp_path: Path) -> None:
    for name in ("train.conll", "valid.conll", "test.conll"):
        (tmp_path / name).write_text("Anna\tPER\nsleeps\tO\n")
    origin: Any = Source(path=str(tmp_path), kind="tokens").read().origin
    assert origin.files == {"train": "train.conll", "dev": "valid.conll", "test": "test.conll"}
    assert (origin.columns, origin.unread) == ({"text": "words", "label": "tags"}, ())
    assert (origin.kind_asked, origin.split_off, origin.left_out) == (True, (), 0)
