from pathlib import Path

import pytest

from leanformer.data.inputs import EMPTY, read_inputs, read_texts, refuse


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "one\n\n  \ntwo\n"),
        ("a.txt", "one\r\n\r\n \r\ntwo"),
        ("a.tsv", "text\none\n\n  \ntwo\n"),
        ("a.csv", "text\none\n\n  \ntwo\n"),
        ("a.jsonl", '{"text": "one"}\n\n{"text": " "}\n{"text": "two"}\n'),
    ],
)
def test_every_line_counts_in_order(name: str, text: str, tmp_path: Path) -> None:
    inputs = read_inputs(written(tmp_path, name, text))
    assert [one.text for one in inputs] == ["one", None, None, "two"]
    assert [one.error for one in inputs] == ["", EMPTY, EMPTY, ""]
    first = 2 if name.endswith(("tsv", "csv")) else 1
    places = [f"{tmp_path / name}:{line}" for line in range(first, first + 4)]
    assert [one.place for one in inputs] == places
    assert read_texts(tmp_path / name) == (["one", "two"], None)


def test_what_is_wrong_with_a_row_is_said(tmp_path: Path) -> None:
    rows = '{"text": "a", "pair": "b"}\n{"txt": "c", "pair": "d"}\n{"text": 3, "pair": "e"}\n'
    path = written(
        tmp_path, "in.jsonl", rows + '{"text": "f", "pair": ""}\n{"text": "g \\ud83d"}\n'
    )
    errors = [one.error for one in read_inputs(path, pair="pair")]
    assert errors == [
        "", "no column 'text'", "text is 3 (int), not a text", "pair is empty", "no column 'pair'",
    ]  # fmt: skip
    assert read_inputs(path)[4].text == "g \ufffd"
    with pytest.raises(ValueError, match=r"in.jsonl:2: no column 'text'; try this"):
        refuse(read_inputs(path), "; try this")
    with pytest.raises(ValueError, match=r"in.jsonl:2: no column 'text'"):
        read_texts(path)


def test_a_column_that_no_row_has_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "in.tsv", "body\tlabel\na\tb\n")
    with pytest.raises(ValueError, match=r"no column 'text'; there are: body, label"):
        read_inputs(path)
    with pytest.raises(ValueError, match=r"no column 'other'"):
        read_inputs(path, "body", "other")
    assert read_texts(path, "body", "label") == (["a"], ["b"])
