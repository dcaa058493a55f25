"""The plan of a search: counts, warnings and notes, and that a record has it once."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from search.toy import dataset_of

from leanformer.core.record import Record, read
from leanformer.data import Dataset, Examples, Source, Task
from leanformer.models.tiny import tiny_model
from leanformer.search.planning.plan import Plan, make_plan, write_plan
from leanformer.search.request import Request


@pytest.fixture(scope="module")
def planned() -> Callable[..., Plan]:
    """A function that plans a data set with a tiny model."""
    model, tokenizer = tiny_model("bert", num_labels=2)

    def plan(dataset: Dataset, **asked: Any) -> Plan:
        asked = {"model": "tiny", "data": Source(path="toy"), "fresh_head": True, **asked}
        return make_plan(Request(**asked), dataset, model, tokenizer, (("Steps", ("1. int8",)),))

    return plan


def toy(train: list[tuple[str, int]], dev: Any, test: Any, **more: Any) -> Dataset:
    def split(rows: list[tuple[str, int]]) -> Examples:
        return Examples(texts=[text for text, _ in rows], labels=[label for _, label in rows])

    task = Task(kind="classification", labels=("fox", "None"))
    return Dataset(name="toy", task=task, train=split(train), dev=split(dev), test=split(test), **more)  # fmt: skip


CLEAN = ([("a fox", 0), ("a dog", 1)], [("the fox", 0), ("the dog", 1)], [("fox", 0), ("dog", 1)])


def test_a_row_per_split_and_label(planned: Callable[..., Plan]) -> None:
    plan = planned(toy(*CLEAN, unlabelled=Examples(texts=["dogs"])))
    assert [(row["split"], row["rows"], row["cut"]) for row in plan.splits] == [
        ("train", 2, 0), ("dev", 2, 0), ("test", 2, 0), ("unlabelled", 1, 0),
    ]  # fmt: skip
    assert plan.labels == (
        {"name": "fox", "train": 1, "dev": 1, "test": 1},
        {"name": "None", "train": 1, "dev": 1, "test": 1},
    )
    assert plan.warnings == ()
    (note,) = plan.notes
    assert note.startswith("'None' is read as the name of a label (3 rows)")
    assert dict(plan.facts)["Steps"] == ("1. int8",)


def test_texts_that_are_cut(planned: Callable[..., Plan]) -> None:
    """Against the tokenizer itself: 20 words of one token each, begin and end."""
    data = toy([("fox " * 20, 0), ("the dog", 1), ("the " * 9, 1)], *CLEAN[1:])
    plan = planned(data, max_length=11)
    assert [(row["cut"], row["longest"]) for row in plan.splits] == [(1, 22), (0, 4), (0, 3)]
    assert plan.max_length == 11
    assert (
        "1 of 3 training texts (33.3 %) are longer than the 11 tokens that are read"
        in plan.notes[0]
    )
    assert planned(data, max_length=500).max_length == 64  # the model reads no more


def test_leaks_and_contradictions(planned: Callable[..., Plan]) -> None:
    train = [("a fox", 0), ("a fox", 1), ("a dog", 1)]
    plan = planned(
        toy(train, [("the fox", 0), ("fox", 0)], [("a fox", 1), ("a dog", 1), ("fox", 0)])
    )
    (warning,) = plan.warnings
    assert warning.startswith(
        "leak: 2 of the 3 rows of test (66.7 %) have a text that is in train too, 1 of them with "
        "another label. Quality on test will look better than it is"
    )
    assert "train: 1 text with more than one label; a model cannot learn both" in plan.notes
    assert "1 text in both dev and test" in plan.notes
    assert "dev: no row of 1 label" in plan.notes


def test_pairs_leak_as_pairs(planned: Callable[..., Plan]) -> None:
    plan = planned(dataset_of("classification", pairs=True))
    assert all("have a pair of texts that is in train too" in one for one in plan.warnings)
    assert len(plan.warnings) == 2


@pytest.mark.parametrize("kind", ["regression", "tokens"])
def test_other_tasks_are_counted(kind: str, planned: Callable[..., Plan]) -> None:
    plan = planned(dataset_of(kind))
    assert [row["rows"] for row in plan.splits] == [16, 16, 16]
    assert bool(plan.labels) == (kind == "tokens")
    assert [bool(row["numbers"]) for row in plan.splits] == 3 * [kind == "regression"]


def test_a_record_has_a_plan_once_and_another_one_after_it(
    tmp_path: Path, planned: Callable[..., Plan]
) -> None:
    record = Record(tmp_path / "record.jsonl")
    plan = planned(dataset_of("regression"))
    other = replace(plan, notes=("it was changed",))
    for one in (plan, plan, other, other, plan):
        write_plan(record, one)
    events = read(record.path)
    assert [event["notes"] for event in events] == [list(plan.notes), ["it was changed"], list(plan.notes)]  # fmt: skip
    assert set(asdict(plan)) < set(events[0])
