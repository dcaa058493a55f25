"""Filters against a naive evaluation, row by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.retrieve.store import VectorStore

ROWS = [
    {"year": 1962, "source": "a"},
    {"year": 1970.5, "source": "b", "tags": ["x", "y"]},
    {"source": "a", "tags": []},
    {"year": None, "source": None, "good": True},
    {"year": 1960, "tags": ["y", 3], "good": False, "count": 1},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with VectorStore.create(
        tmp_path_factory.mktemp("where") / "s", width=1, segment_rows=2
    ) as made:
        made.add(list("abcde"), np.ones((5, 1)), [{"metadata": row} for row in ROWS])
        yield made


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"source": "a"}, [0, 2]),
        ({"source": {"=": "a"}}, [0, 2]),
        ({"source": {"!=": "a"}}, [1, 3, 4]),
        ({"source": None}, [3]),
        ({"source": {"in": ["b", None]}}, [1, 3]),
        ({"source": {"in": []}}, []),
        ({"year": {">=": 1962}}, [0, 1]),
        ({"year": {">": 1962}}, [1]),
        ({"year": {"<": 1962}}, [4]),
        ({"year": {"<=": 1962, "!=": 1960}}, [0]),
        ({"year": {">=": 1960}, "source": "a"}, [0]),
        ({"source": {">": "a"}}, [1]),
        ({"tags": "y"}, [1, 4]),
        ({"tags": ["x", "y"]}, [1]),
        ({"tags": {"=": []}}, [2]),
        ({"tags": {"in": ["x", 3.0]}}, [1, 4]),
        ({"tags": {"in": [["x", "y"], "no"]}}, [1]),
        ({"good": {"in": [1, 0]}}, []),
        ({"tags": {"!=": "x"}}, [0, 2, 3, 4]),
        ({"good": True}, [3]),
        ({"count": True}, []),
        ({"count": 1.0}, [4]),
        ({"unknown": 3}, []),
        ({"unknown": {"!=": 3}}, [0, 1, 2, 3, 4]),
        ({"or": [{"source": "b"}, {"good": {"in": [True, False]}}]}, [1, 3, 4]),
        ({"and": [{"source": "a"}, {"tags": {"!=": "x"}}], "year": 1962}, [0]),
        ({"or": [{"and": [{"year": 1960}, {"count": 2}]}, {"year": 1962}]}, [0]),
        # rows without a text there are compared with nothing
        ({"source": "a", "tags": {"<": "z"}}, []),
    ],
)
def test_rows_that_match(store, where, rows):
    assert np.flatnonzero(store.snapshot().matching(where)).tolist() == rows


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("year", "where is 'year'; give a table such as"),
        ({"or": {"year": 1}}, r'where\["or"\] is .*; give a list of tables'),
        ({"and": []}, r'where\["and"\] is \[\]; give a list'),
        ({"and": [3]}, "where is 3; give a table"),
        ({"year": {"~": 3}}, r"where\['year'\] has the operator '~'; use =, !=, in, <, <=, >, >="),
        ({"year": {"in": 3}}, r"where\['year'\]: in takes a list of values, not 3"),
        ({"year": {">": None}}, r"where\['year'\]: > takes a number or a text, not None"),
        ({"year": {">": float("nan")}}, "> takes a number or a text, not nan"),
        ({"year": {"in": [b"a"]}}, r"where\['year'\] is \[b'a'\]; give texts, numbers"),
        ({3: 1}, r"where\[3\] is 1; give texts"),
        (
            {"year": {">": "1960"}},
            r"asks for > '1960', and a row has 1962 there: a number does not",
        ),
        ({"tags": {">": 2}}, r"a row has 'x' there: a text does not compare with a number; give"),
        ({"good": {">": 0}}, r"a row has True there: true or false does not compare"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(store, where, said):
    with pytest.raises(ValueError, match=said):
        store.snapshot().matching(where)


def test_conditions_nested_too_deeply_are_refused(store):
    where = {"a": 1}
    for _ in range(5000):
        where = {"and": [where]}
    with pytest.raises(ValueError, match="nested more than 16 deep"):
        store.snapshot().matching(where)


def test_a_filter_sees_its_own_version(tmp_path):
    with VectorStore.create(tmp_path / "s", width=1, segment_rows=2) as store:
        store.add(["a", "b"], np.ones((2, 1)), [{"metadata": {"n": n}} for n in (1, 2)])
        first = store.snapshot()
        assert first.matching({"n": 1}).tolist() == [True, False]
        store.update(["a"], np.ones((1, 1)), [{"metadata": {"n": 2}}])
        store.add(["c"], np.ones((1, 1)), [{"metadata": {"n": "text"}}])
        store.delete(["c"])
        newest = store.snapshot()
        assert newest.matching({"n": {">": 1}}).tolist() == [False, True, True, False]
        assert first.matching({"n": {">": 1}}).tolist() == [False, True]


scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["a", "b", 0.5])
tables = st.dictionaries(st.sampled_from("fg"), scalars | st.lists(scalars, max_size=2))
conditions = st.tuples(
    st.sampled_from(["=", "!=", "in"]), st.lists(scalars, min_size=1, max_size=3)
)


def naive(row, field, symbol, values):
    def same(one, other):
        kinds = [isinstance(value, bool) for value in (one, other)]
        return kinds[0] == kinds[1] and one == other

    there = row.get(field, [])
    there = there if isinstance(there, list) else [there]
    if symbol == "in":
        return any(same(one, other) for one in there for other in values)
    return any(same(one, values[0]) for one in there) == (symbol == "=")


@settings(max_examples=40, deadline=None)
@given(st.lists(tables, min_size=1, max_size=6), st.lists(conditions, min_size=1, max_size=3))
def test_equal_to_a_naive_filter(tmp_path_factory, rows, asked):
    from leanformer.retrieve.store.columns import Columns
    from leanformer.retrieve.store.where import parse_where

    class Blocks:
        def pieces(self, numbers, parts):
            import json

            return [(json.dumps(rows[number]).encode(),) for number in numbers]

    columns, alive = Columns(Blocks()), np.ones(len(rows), bool)
    alive[0] = len(rows) == 1
    parts = [
        {"fg"[place % 2]: {symbol: values if symbol == "in" else values[0]}}
        for place, (symbol, values) in enumerate(asked)
    ]
    each = [
        [naive(row, "fg"[place % 2], *condition) for place, condition in enumerate(asked)]
        for row in rows
    ]
    for name, join in (("and", all), ("or", any)):
        mask = columns.mask(parse_where({name: parts}), alive)
        assert mask.tolist() == [bool(a) and join(ok) for a, ok in zip(alive, each, strict=True)]


def test_columns_are_bounded_and_those_asked_for_last_are_kept(tmp_path, monkeypatch):
    from leanformer.retrieve.store import columns

    monkeypatch.setattr(columns, "_MOST", 3)
    with VectorStore.create(tmp_path / "s", width=1) as made:
        made.add(list("ab"), np.ones((2, 1)), [{"metadata": {"year": year}} for year in (1, 2)])
        snapshot = made.snapshot()
        for name in ("w", "x", "year", "y", "year", "z"):
            assert snapshot.matching({name: 2}).tolist() == [False, name == "year"]
        assert list(snapshot.state.columns._columns) == ["y", "year", "z"]
