from dataclasses import replace
from typing import Any

import pytest

from leanformer.data import Dataset, Examples, Source, Task
from leanformer.distill.objectives import Cosine, Vectors
from leanformer.search.request import Request, copies_of, examples_of

ASKED = Request(model="teacher", data=Source(path="texts.tsv"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep": 0.0}, r"keep: 0.0 is not above 0 and at most 1"),
        ({"keep": 99.0}, "keep: 99.0 is not above 0 and at most 1"),
        ({"minutes": 0.0}, "minutes: 0.0 is not above 0"),
        ({"max_length": 7}, "max_length: 7 is not between 8"),
        ({"teacher_epochs": 0.0}, "teacher_epochs: 0.0 is not above 0"),
        ({"student_epochs": -1.0}, "student_epochs: -1.0 is not above 0"),
        ({"min_count": 0}, "min_count: 0 is not at least 1"),
        ({"threads": -1}, "threads: -1 is not between 0"),
        ({"augment": -1}, "augment: -1 is not at least 0"),
        ({"seed": -3}, "seed: -3 is not at least 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ASKED, **fields)


def test_few_examples_are_seen_more_often() -> None:
    teacher = [ASKED.teacher_setup(count).epochs for count in (500, 3_000, 100_000)]
    assert teacher == [12, 8, 4]
    student = [ASKED.student_setup(count).epochs for count in (500, 12_000, 10**6)]
    assert student == [30, 15, 3]
    asked = replace(ASKED, teacher_epochs=2.0, student_epochs=1.5)
    assert (asked.teacher_setup(10).epochs, asked.student_setup(10).epochs) == (2.0, 1.5)


def test_unlabelled_texts_count_as_texts_to_learn_on() -> None:
    texts = Examples(texts=["a", "b"], labels=[0, 1])
    task = Task(kind="classification", labels=("x", "y"))
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    assert examples_of(ASKED, dataset) == 2 * (1 + 2)  # two altered copies of each
    assert examples_of(replace(ASKED, augment=0), dataset) == 2
    assert examples_of(ASKED, replace(dataset, unlabelled=Examples(texts=["c", "d", "e"]))) == 5


def test_altered_copies_are_made_where_they_were_found_to_help() -> None:
    texts = Examples(texts=["a", "b"], labels=[0, 1])
    few = Task(kind="classification", labels=("x", "y"))
    dataset = Dataset(name="toy", task=few, train=texts, dev=texts, test=texts)
    assert copies_of(ASKED, dataset) == 2
    many = Task(kind="classification", labels=tuple(map(str, range(77))))
    pairs = replace(texts, pairs=["c", "d"])
    long = Examples(texts=["a"] * 5000, labels=[0] * 5000)
    for other in (
        replace(dataset, task=many),
        replace(dataset, train=pairs),
        replace(dataset, train=long),
        replace(dataset, unlabelled=texts.without_labels()),
    ):
        assert copies_of(ASKED, other) == 0
        assert copies_of(replace(ASKED, augment=3), other) == 3


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens", "embedding"])
def test_every_task_is_distilled_from_output_and_hidden_states(kind: str) -> None:
    first, second = (type(objective).technique for objective in ASKED.objectives(kind))  # type: ignore[attr-defined]
    expected = {"regression": "logits", "embedding": "cosine"}.get(kind, "soft-targets")
    assert (first, second) == (expected, "hidden-states")


def test_vectors_that_are_not_normalized_are_distilled_with_their_lengths() -> None:
    free, unit = (ASKED.objectives("embedding", normalized=one)[0] for one in (False, True))
    assert (free, unit) == (Vectors(weight=5.0), Cosine(weight=10.0))
