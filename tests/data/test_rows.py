import copy
import pickle

from leanformer.data.rows import Row, places


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
