import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data.formats.delimited import (
    LONGEST_FIELD,
    comma_separated,
    separator_of,
    tab_separated,
)

PATH = Path("a.csv")


def test_tsv_has_no_quoting_and_csv_has() -> None:
    assert tab_separated('text\tlabel\n"open\ta\n', PATH) == [{"text": '"open', "label": "a"}]
    assert comma_separated('text,label\n"two\nlines, one ""field""",a\n', PATH) == [
        {"text": 'two\nlines, one "field"', "label": "a"}
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_told_from_the_header_and_the_first_rows(separator: str) -> None:
    lines = [
        ["Text", "label"], ["one, two; three | four", "x"], ["a;b", "y"], ["c,d|e", "x"], ["\t", "y"],
    ]  # fmt: skip
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(lines)
    rows = comma_separated(out.getvalue(), PATH)
    assert [list(row.values()) for row in rows] == lines[1:]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (
            "text;label\nThe end, at last;x\nso, so;y\n",
            [["The end, at last", "x"], ["so, so", "y"]],
        ),
        ("text\nno; quotes\nno | more\n", [["no; quotes"], ["no | more"]]),
        ("text,a;b\nx,1\ny,2;3\n", [["x", "1"], ["y", "2;3"]]),  # ; splits the header only
        ("text,label\n", []),
        ("", []),
    ],
)
def test_what_does_not_separate(text: str, rows: list[list[str]]) -> None:
    assert [list(row.values()) for row in comma_separated(text, PATH)] == rows


FIELD = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\0"), min_size=1)


@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=30),
    separator=st.sampled_from(",;\t|"),
)
def test_what_is_written_as_csv_is_read_again(rows: list[tuple[str, ...]], separator: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    text = out.getvalue()
    found = comma_separated(text, PATH)
    assert [tuple(row.values()) for row in found] == rows
    lines = io.StringIO(text, newline="").readlines()  # where each row begins
    for row, values in zip(found, rows, strict=True):
        assert lines[row.number - 1].startswith('"' + values[0].replace('"', '""').split("\n")[0])


def test_lines_are_those_on_which_rows_begin() -> None:
    rows = comma_separated('text,label\n"one\n\ntwo",a\n\n"b\n",c\nd,e\n', PATH)
    assert [row.place for row in rows] == ["a.csv:2", "a.csv:5", "a.csv:6", "a.csv:8"]
    assert [row.place for row in tab_separated("a\tb\n1\t2\n\n3\t4", PATH)][::2] == [
        "a.csv:2",
        "a.csv:4",
    ]


def test_blank_lines_before_the_header_are_no_header() -> None:
    for read, text in ((comma_separated, "\n\na,b\nc,d\n"), (tab_separated, "\n\na\tb\nc\td\n")):
        (row,) = read(text, PATH)
        assert (row, row.place) == ({"a": "c", "b": "d"}, "a.csv:4")


def test_headers_lose_their_spaces_and_keep_their_case() -> None:
    assert comma_separated(" Text , \ufeffLabel\r\na,b\r\n", PATH) == [{"Text": "a", "Label": "b"}]


def test_a_separator_is_found_in_a_beginning_that_ends_within_a_field() -> None:
    beginning = 'id;text\n1;"a line, it is\na second, of many\n'
    assert separator_of(beginning, PATH) == ";"


def test_a_field_may_be_as_long_as_a_book() -> None:
    book = "a line of it\n" * 100_000
    (row,) = comma_separated(f'text,label\n"{book}",b\n', PATH)
    assert row["text"] == book


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label,text\na,b,c\n", r"a\.csv:1: 2 columns are called 'text'; give each"),
        ("text,label, ,\na,b,,\n", r"a\.csv:1: 2 have no name; give each column a name"),
        ("text,label\na,b,c\n", r"a\.csv:2: 3 fields where the header has 2 \(text, label\)"),
        ('text,label\n"a\nb",c\n"d\ne",f,g\n', r"a\.csv:4: 3 fields where the header has 2"),
        ('text,label\n"' + "x" * (LONGEST_FIELD + 1) + '",b\n', r"a\.csv:2: not CSV \(field larger"),
        ('text,label\na,b\n"c\nd",e\nf,"g\nh,i\n', r"a\.csv:5: not CSV \(unexpected end of data\)"),
        ('text,label\n"so "good" a film",b\n', r"a\.csv:2: not CSV .*a quote within quotes is written"),
        ("id;text,label\n1;a,b\n2;c,d\n", r"a\.csv: its fields may be separated by commas or by semicolons"),
    ],
)  # fmt: skip
def test_what_is_not_csv_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        comma_separated(text, PATH)


def test_tsv_with_two_columns_of_one_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.csv:1: 2 columns are called 'text'"):
        tab_separated("text\ttext \na\tb\n", PATH)
    with pytest.raises(ValueError, match=r"a\.csv:3: 1 fields where the header has 2"):
        tab_separated("text\tlabel\na\tb\nc\n", PATH)
