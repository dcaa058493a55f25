import copy
import pickle

from leanformer.data.rows import Row, places, places_in_short


def test_a_row_is_a_dictionary_with_a_place() -> None:
    row = Row({"text": "a"}, "data.tsv:", 17)
    assert (row, row.place, dict(row)) == ({"text": "a"}, "data.tsv:17", {"text": "a"})
    assert [one.place for one in (copy.copy(row), pickle.loads(pickle.dumps(row)))] == [
        "data.tsv:17"
    ] * 2


def test_rows_are_named_by_their_file_or_else_by_their_split() -> None:
    rows = [{"text": "a"}, Row({"text": "b"}, "data.tsv:", 17), Row({"text": "c"})]
    assert list(places("dev", rows)) == [
        ("dev row 1", rows[0]), ("data.tsv:17", rows[1]), ("dev row 3", rows[2]),
    ]  # fmt: skip


def test_each_file_is_named_once() -> None:
    given = ["a.tsv:1", "a.tsv:14", "b.tsv:3", "a.tsv:4", "dev row 5", "dev row 6"]
    assert places_in_short(given) == "a.tsv:1, 14, b.tsv:3, a.tsv:4, dev row 5, 6"
    assert places_in_short([]) == ""
