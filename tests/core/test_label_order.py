import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.label_order import are_numbers, sort_labels


@given(st.sets(st.integers(min_value=-500, max_value=500)))
def test_whole_numbers_are_ordered_by_value(numbers: set[int]) -> None:
    assert [int(label) for label in sort_labels(map(str, numbers))] == sorted(numbers)


@given(st.sets(st.text(max_size=3), min_size=1))
def test_the_order_does_not_depend_on_the_order_given(labels: set[str]) -> None:
    found = sort_labels(labels)
    assert set(found) == labels
    assert sort_labels(reversed(found)) == found
    assert are_numbers(labels) or list(found) == sorted(labels)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["10", "2", "1"], ("1", "2", "10")),
        (["10", "2", "many"], ("10", "2", "many")),
        (["10", "9.5"], ("10", "9.5")),
        (["-1", "+1", "0"], ("-1", "0", "+1")),
        (["01", "1", "0"], ("0", "01", "1")),
        (["٣", "10"], ("10", "٣")),
        (["9", "1" * 5000], ("1" * 5000, "9")),
        ([], ()),
    ],
)
def test_orders(labels: list[str], expected: tuple[str, ...]) -> None:
    assert sort_labels(labels) == expected
