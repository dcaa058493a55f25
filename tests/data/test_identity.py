"""Every column of every split counts, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from leanformer.data import Dataset, Examples, Task
from leanformer.data.identity import identify_data

SPLIT = Examples(texts=["a", "b"], labels=[0, 1])
DATA = Dataset(
    name="toy",
    task=Task(kind="classification", labels=("x", "y")),
    train=SPLIT,
    dev=SPLIT,
    test=SPLIT,
    unlabelled=SPLIT.without_labels(),
)


def test_the_name_does_not_count() -> None:
    assert identify_data(replace(DATA, name="other")) == identify_data(DATA)


@pytest.mark.parametrize("split", ["train", "dev", "test", "unlabelled"])
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"texts": ["a", "c"]}, "texts"),
        ({"pairs": ["a", "b"]}, "texts"),
        ({"words": [["a"], ["b"]]}, "texts"),
        ({"groups": ["1", "1"]}, "texts"),
        ({"labels": [1, 1]}, "labels"),
        ({"labels": [0.0, 1.0]}, "labels"),
    ],
)
def test_each_column_of_each_split_counts(split: str, change: dict[str, Any], part: str) -> None:
    other = identify_data(replace(DATA, **{split: replace(getattr(DATA, split), **change)}))
    ours = identify_data(DATA)
    assert [name for name in ours if ours[name] != other[name]] == [split]
    assert [name for name in ours[split] if ours[split][name] != other[split][name]] == [part]


def test_the_task_counts_and_so_does_a_missing_split() -> None:
    ours = identify_data(DATA)
    turned = replace(DATA, task=replace(DATA.task, labels=("y", "x")))
    assert identify_data(turned)["task"] != ours["task"]
    assert identify_data(replace(DATA, unlabelled=None)).keys() == ours.keys() - {"unlabelled"}
