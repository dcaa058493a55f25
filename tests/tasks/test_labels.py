import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks.cases import kept

from leanformer.tasks.labels import IGNORE, ClassName, Number

NAMES = st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=8, unique=True)


@given(NAMES)
def test_a_class_is_its_place_among_the_sorted_names(names: list[str]) -> None:
    order, labels = kept("classification", names)
    assert sorted(order) == sorted(names)
    assert [order[label] for label in labels] == names
    assert kept("classification", names[::-1])[0] == order


@given(NAMES)
def test_a_renumbered_class_keeps_its_name(names: list[str]) -> None:
    order, labels = kept("classification", names)
    new = [(index + 1) % len(order) for index in range(len(order))]
    moved = [ClassName().renumbered(label, new, len(order)) for label in labels]
    assert [order[new.index(label)] for label in moved] == names


def test_numbers_are_kept_as_they_are() -> None:
    assert kept("regression", ["3.5", -1, " 2e3 "]) == ((), [3.5, -1.0, 2000.0])
    assert Number().renumbered(3.5, [], 0) == 3.5


def test_missing_labels_have_marks() -> None:
    assert ClassName().blank(1) == IGNORE
    assert math.isnan(Number().blank(1))


@pytest.mark.parametrize("value", [None, "", "  "])
@pytest.mark.parametrize("form", [ClassName(), Number()], ids=["class", "number"])
def test_a_missing_label_is_refused(form: ClassName | Number, value: str | None) -> None:
    with pytest.raises(ValueError, match=r"^score is missing; give the row one, or move its text"):
        form.read({"score": value}, "score")


@pytest.mark.parametrize("value", ["much", "nan", "inf"])
def test_a_score_is_a_finite_number(value: str) -> None:
    with pytest.raises(ValueError, match=f"^score '{value}' is not a finite number"):
        kept("regression", [value])


def test_a_class_that_training_has_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"label 'refnd' is not among the training labels.*refund"):
        ClassName().parse("refnd", ("card", "refund"))


def test_classes_are_neither_one_nor_a_thousand() -> None:
    with pytest.raises(ValueError, match=r"^column 'label' has one class only \('a'\)"):
        kept("classification", ["a", "a"])
    with pytest.raises(ValueError, match="has 1001 different labels; is it the right column"):
        kept("classification", [str(number) for number in range(1001)])
