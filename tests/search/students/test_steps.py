from pathlib import Path
from typing import Any

import pytest
from search.toy import contest_of, dataset_of

from leanformer.data import Source
from leanformer.distill.objectives import HiddenStates, SoftTargets
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.prune.criteria.units import Activation, Taylor
from leanformer.prune.shrink import Shrink
from leanformer.search.request import Request, examples_of
from leanformer.search.students.ladder import Rung
from leanformer.search.students.steps import rounding_steps, steps_of
from leanformer.search.students.teacher_cache import have_room


def made(rung: Rung, start: Rung | None = None, **settings: Any) -> list[Any]:
    request = Request(model="model", data=Source(path="toy"), max_length=40, **settings)
    dataset = dataset_of("classification")
    return list(steps_of(rung, start, request, dataset, (SoftTargets(),), teacher_cache=None))


def names(steps: list[Any]) -> list[str]:
    return [step.technique for step in steps]


def test_the_whole_encoder_is_not_shrunk() -> None:
    steps = made(Rung(layers=3, whole=True), student="encoder")
    assert names(steps) == ["cut-vocabulary", "distill", "int8"]


def test_a_student_of_a_student_has_its_vocabulary() -> None:
    steps = made(Rung(layers=1, ffn=0.25), Rung(layers=2, ffn=0.5))
    assert names(steps) == ["shrink", "distill", "int8"]
    assert steps[0].ffn == 0.5


@pytest.mark.parametrize(
    ("settings", "start", "criterion", "length"),
    [
        ({}, None, Taylor(), None),
        ({"student": "encoder"}, None, Activation(), 40),
        ({"student": "encoder"}, Rung(layers=3), Taylor(), 40),
    ],
)
def test_a_head_that_nobody_trained_does_not_say_what_matters(
    settings: dict[str, Any], start: Rung | None, criterion: Any, length: int | None
) -> None:
    steps = made(Rung(layers=2, heads=0.5), start, **settings)
    (shrink,) = [step for step in steps if isinstance(step, Shrink)]
    (distill,) = [step for step in steps if isinstance(step, Distill)]
    assert shrink.criterion == criterion
    assert distill.teacher_max_length == length


def test_answers_need_less_room_than_hidden_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_of(tmp_path, "classification")
    monkeypatch.setattr("leanformer.search.students.teacher_cache._MOST", 3 * 16 * 2 * 2 * 2)
    assert have_room(contest, tmp_path, (SoftTargets(),))
    assert not have_room(contest, tmp_path, (SoftTargets(), HiddenStates()))


def test_a_student_that_fails_by_rounding_is_trained_on_with_it() -> None:
    request = Request(model="model", data=Source(path="toy"), max_length=40, student_epochs=20.0)
    dataset = dataset_of("classification")
    steps: list[Any] = list(rounding_steps(request, dataset, (SoftTargets(),), teacher_cache=None))
    assert names(steps) == ["quantize-aware", "distill", "int8"]
    rounds, distill, _ = steps
    assert rounds.weights.bits == 8
    assert rounds.activations is not None
    assert (distill.train.epochs, distill.train.optimizer.learning_rate) == (2.0, 1e-4)
    assert not distill.load_best_at_end  # dev does not choose


@pytest.mark.parametrize(
    ("kind", "settings", "copies"),
    [
        ("classification", {}, 2),
        ("classification", {"augment": 0}, 0),
        ("regression", {}, 0),
        ("regression", {"augment": 5}, 5),
    ],
)
def test_few_texts_are_altered_where_that_was_found_to_help(
    kind: str, settings: dict[str, Any], copies: int
) -> None:
    request = Request(model="model", data=Source(path="toy"), **settings)
    dataset = dataset_of(kind)
    steps = steps_of(Rung(layers=1), None, request, dataset, (SoftTargets(),), teacher_cache=None)
    (distill,) = [step for step in steps if isinstance(step, Distill)]
    assert distill.augmentation == (Substitution(copies=copies) if copies else None)
    assert examples_of(request, dataset) == 16 * (1 + copies)
