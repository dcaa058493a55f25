from typing import Any

import pytest
from datasets import ClassLabel, Features, Sequence, Value

from leanformer.data.formats.class_names import class_names, with_names

FEATURES = Features(
    {"text": Value("string"), "label": ClassLabel(names=["no", "yes"]), "tags": Sequence(ClassLabel(names=["O"])),
     "all": [ClassLabel(names=["x"])], "answer": {"text": ClassLabel(names=["y"])}}
)  # fmt: skip
CLASSES = class_names(FEATURES.to_dict())


def test_classes_and_lists_of_classes_have_names() -> None:
    assert CLASSES == {"label": ["no", "yes"], "tags": ["O"], "all": ["x"]}


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"label": 1, "tags": [0, -1], "all": []}, {"label": "yes", "tags": ["O", None], "all": []}),
        ({"label": -1, "tags": None, "all": [0]}, {"label": None, "tags": None, "all": ["x"]}),
    ],
)  # fmt: skip
def test_numbers_become_names(row: dict[str, Any], named: dict[str, Any]) -> None:
    assert with_names(row, CLASSES, "x row 1") == named


def test_a_number_beyond_the_names_is_refused() -> None:
    with pytest.raises(ValueError, match="x row 1: label is 2, and there are 2 classes"):
        with_names({"label": 2}, CLASSES, "x row 1")
