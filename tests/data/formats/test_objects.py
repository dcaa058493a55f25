import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.data.formats.objects import json_document, json_lines

PATH = Path("a.json")
VALUES = st.none() | st.text() | st.integers() | st.lists(st.text(), max_size=3)
ROWS = st.lists(st.dictionaries(st.text(), VALUES, min_size=1), min_size=1)


@settings(max_examples=40)
@given(rows=ROWS, indent=st.sampled_from([None, 2]))
def test_an_array_is_read_as_it_was_written(rows: list[dict[str, Any]], indent: int | None) -> None:
    found = json_document(" \n" + json.dumps(rows, indent=indent) + "\n", PATH)
    assert found == rows
    assert [row.place for row in found] == [f"a.json row {n}" for n in range(1, len(rows) + 1)]
    wrapped = {"data": rows}
    assert json_document(json.dumps(wrapped, indent=indent), PATH) == rows


@settings(max_examples=40)
@given(rows=ROWS)
def test_lines_are_read_in_both(rows: list[dict[str, Any]]) -> None:
    text = "\n\n".join(map(json.dumps, rows))
    for read in (json_lines, json_document):
        found = read(text, PATH)
        assert [row for row in found if row] == rows
        assert [row.place for row in found if row] == [
            f"a.json:{n}" for n in range(1, 2 * len(rows), 2)
        ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", r"a\.json row 1: 1 is not a JSON object; write an array of objects"),
        ('[{"text": "a"}, ["b"]]', r'a\.json row 2: \["b"\] is not a JSON object'),
        ('[\n{"text": "a"},\n{"text"\n}]', r"a\.json:4: not JSON \(.*\); write an array of objects"),
        ('[{"text": "a"}', r"a\.json:1: not JSON \(.*delimiter.*\); write an array"),
        ("[" * 100_000, r"a\.json: not JSON \(.*recursion.*\); write an array"),
        ('{"a": "b"}\n{"a"\n', r"a\.json:2: not JSON \(.*\); write one object per line"),
        ('{\n "text": "a"\n}', r"a\.json: the whole file is one object \(text\).*orient='records'"),
        ('{"train": [{"a": 1}], "dev": [{"a": 1}]}', r"the whole file is one object \(train, dev\)"),
        ('{"text": {"0": "a"}, "label": {"0": "x"}}', r"one object \(text, label\), and it is not said"),
        ('{"data": []}\n{"data"}', r"a\.json:2: not JSON"),
        ('"text"', r"a\.json:1: '\"text\"' is not a JSON object; write one per line$"),
        ('[{"a": 1, "b": 2, "a": 3}]', r"a\.json: 'a' stands twice in one object; keep one of them$"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', r"a\.json:1: 'c' stands twice in one object"),
    ],
)  # fmt: skip
def test_what_is_not_rows_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        json_document(text, PATH)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"text": "a"}\n{"text"\n', r"a\.json:2: not JSON \(.*\); write one object per line"),
        ("[" * 100_000, r"a\.json:1: not JSON \(.*recursion.*\); write one object"),
        ('{"a": ' + "1" * 5000 + "}", r"a\.json:1: not JSON \(.*digits.*\)"),
        (
            "[1, 2]\n",
            r"a\.json:1: '\[1, 2\]' is not a JSON object; .*an array .* from a \.json file",
        ),
        ('{"a": 1}\n{"a": 1, "a": 2}', r"a\.json:2: 'a' stands twice in one object"),
    ],
)
def test_what_is_not_an_object_per_line_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        json_lines(text, PATH)


def test_one_object_on_one_line_is_a_row() -> None:
    assert json_document('{"text": "a", "labels": ["x"]}', PATH) == [{"text": "a", "labels": ["x"]}]
    assert json_document("[]", PATH) == []
