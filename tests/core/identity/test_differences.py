"""What differs between two tables is said in words."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.identity.differences import differences, flat, listed
from leanformer.core.identity.digest import digest

tables = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


@given(tables, tables)
def test_there_are_differences_where_values_differ(held: Any, ours: Any) -> None:
    found = differences(held, ours, {})
    assert differences(ours, ours, {}) == []
    assert (found == []) == (dict(flat(held)) == dict(flat(ours)))
    assert len(found) == len(differences(ours, held, {}))


def test_small_values_are_shown_and_digests_are_named() -> None:
    held = {"a": {"b": [1, 2]}, "data": digest("x"), "gone": 1}
    ours = {"a": {"b": [1, 3]}, "data": digest("y")}
    found = differences(held, ours, {"data": "the data"})
    assert found == ["a.b[1] (2 → 3)", "the data", "gone (1 → None)"]


def test_many_differences_are_counted() -> None:
    assert listed(list("abcdefg")) == "a, b, c, d, e, 2 more"
    assert listed(["a"]) == "a"
