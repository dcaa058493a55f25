import pytest

from leanformer.core.registry import Registry


class First:
    name = "first"


class Second:
    name = "second"


def filled() -> Registry[type]:
    registry = Registry[type]("backend")
    registry.add(First, First)
    registry.add(Second, Second)
    return registry


def test_members_are_found_by_name_in_their_order() -> None:
    assert filled().all() == (First, Second)
    assert filled().find("second") is Second


def test_a_name_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"^backend 'frist' is not one of first, second .*'first'"):
        filled().find("frist")


def test_a_class_may_come_again_and_another_of_its_name_may_not() -> None:
    registry = filled()
    again = type("First", (), {"name": "first", "__qualname__": First.__qualname__})
    registry.add(again, again)
    assert registry.all() == (again, Second)
    other = type("Other", (), {"name": "first"})
    with pytest.raises(AssertionError, match="first is taken"):
        registry.add(other, other)
