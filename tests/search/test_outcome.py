import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search.made_up import answers_right, contest_with, rates

from leanformer.core.quantity import Quantity
from leanformer.data import Task
from leanformer.measure.promise import Promise
from leanformer.search.contest import Contest
from leanformer.search.entry import FUSED_TEACHER, INT8_TEACHER, TEACHER
from leanformer.search.judged import judge_answers
from leanformer.search.outcome import EXIT_CODES, beside_majority, outcome_of, pick, refutes

TASK = Task(kind="classification", labels=("music", "rice"))
SPEEDS = {TEACHER: 1.0, FUSED_TEACHER: 9.0, INT8_TEACHER: 2.0, "L3": 3.0, "L2": 4.0, "L1": 5.0}


def contest(folder: Path, keep: float = 0.9, **right: int) -> Contest:
    """Systems that answer so many of 1,000 texts rightly; the teacher 1,000."""
    named = {TEACHER: 1000, FUSED_TEACHER: 1000, INT8_TEACHER: right.pop("int8", 1000), **right}
    made = contest_with(folder, named)
    made.request = replace(made.request, keep=keep)
    return made


def test_the_fastest_that_is_proven_is_picked(tmp_path: Path) -> None:
    picked = pick(contest(tmp_path, L3=960, L2=940, L1=870), rates(SPEEDS))
    assert picked is not None
    assert (picked.name, picked.proven, picked.faster) == ("L2", True, ())
    assert (
        picked.reason == "the fastest that is proven to keep 0.9 of the teacher's quality, 0.9 sure"
    )


@pytest.mark.parametrize(
    ("goal", "name", "reason"),
    [
        ("latency", "L3", "the one with the lowest latency that is proven to keep 0.9"),
        ("size", "L1", "the smallest that is proven"),
        ("memory", INT8_TEACHER, "the one that needs the least memory that is proven"),
        ("throughput", "L2", "the fastest that is proven"),
    ],
)
def test_the_goal_decides(goal: Any, name: str, reason: str, tmp_path: Path) -> None:
    """All are proven; each quantity puts another one first."""
    made = contest(tmp_path, L3=960, L2=950, L1=940)
    made.request = replace(made.request, goal=goal)
    measured = {
        TEACHER: (9.0, 9.0, 9.0, 9.0),
        FUSED_TEACHER: (9.0, 9.0, 9.0, 9.0),
        INT8_TEACHER: (5.0, 4.0, 8.0, 1.0),
        "L3": (1.0, 3.0, 7.0, 4.0),
        "L2": (2.0, 1.0, 6.0, 3.0),
        "L1": (3.0, 2.0, 5.0, 2.0),
    }
    quantities = {
        system: {
            "latency_32": Quantity(1.0, "s"),
            "latency_mean": Quantity(latency, "s"),
            "throughput": Quantity(1 / seconds, "texts/s"),
            "size": Quantity(size, "B"),
            "memory": Quantity(memory, "B"),
        }
        for system, (latency, seconds, size, memory) in measured.items()
    }
    picked = pick(made, quantities)
    assert picked is not None
    assert (picked.name, picked.proven) == (name, True)
    assert picked.reason.startswith(reason)


def test_what_dev_cannot_prove_is_picked_by_its_estimate_and_said_to_be_so(tmp_path: Path) -> None:
    close = contest(tmp_path, keep=0.95, int8=951, L3=951, L2=940)
    picked = pick(close, rates(SPEEDS))
    assert picked is not None
    assert (picked.name, picked.proven, picked.faster) == ("L3", False, ())
    assert picked.reason.startswith("nothing is proven to keep 0.95 of the teacher's quality")


def test_a_faster_one_without_proof_is_named(tmp_path: Path) -> None:
    picked = pick(contest(tmp_path, L3=960, L2=901, L1=902), rates(SPEEDS))
    assert picked is not None
    assert (picked.name, picked.faster) == ("L3", ("L1", "L2"))


def test_baselines_are_not_picked_but_for_the_whole_teacher_in_int8(tmp_path: Path) -> None:
    picked = pick(contest(tmp_path / "one", L1=100), rates(SPEEDS))
    assert picked is not None
    assert picked.name == INT8_TEACHER
    assert pick(contest(tmp_path / "other", int8=100, L1=100), rates(SPEEDS)) is None


@pytest.mark.parametrize(
    ("kept", "lower", "proven", "refuted", "outcome"),
    [
        (0.99, 0.96, True, False, "kept"),
        (0.99, 0.96, False, False, "unproven"),
        (0.99, 0.94, True, False, "unproven"),  # another backend than was judged, say
        (0.95, 0.90, False, False, "unproven"),
        (0.94, 0.90, False, False, "not kept"),
        (0.99, 0.96, True, True, "not kept"),
    ],
)
def test_an_outcome_says_no_more_than_is_known(
    kept: float, lower: float, proven: bool, refuted: bool, outcome: Any
) -> None:
    promise = Promise(
        metric="accuracy", examples=9, teacher=1.0, student=kept, kept=kept, lower=lower,
        keep=0.95, confidence=0.9, needed=None, method="",
    )  # fmt: skip
    assert outcome_of(promise, proven, refuted) == outcome


def test_scripts_can_tell_outcomes_apart() -> None:
    assert EXIT_CODES == {"kept": 0, "unproven": 3, "not kept": 4}


@pytest.mark.parametrize(("right", "refuted"), [(1000, False), (945, False), (920, True)])
def test_the_test_split_refutes_what_it_proves_wrong(
    tmp_path: Path, right: int, refuted: bool
) -> None:
    promise = contest(tmp_path, keep=0.95, L1=970).promise("L1")
    teacher, student = answers_right(1000), answers_right(right)
    assert refutes(teacher, student, TASK, promise) is refuted


def test_a_student_that_is_worth_nothing_refutes_any_promise(tmp_path: Path) -> None:
    promise = contest(tmp_path, L1=970).promise("L1")
    assert refutes(answers_right(1000), answers_right(0), TASK, promise)
    assert not refutes(answers_right(0), answers_right(0), TASK, promise)


def test_answers_that_are_no_numbers_refute_any_promise(tmp_path: Path) -> None:
    promise, task = contest(tmp_path, L1=970).promise("L1"), Task(kind="regression")
    gold = [1.0, 2.0, 3.0]
    broken = judge_answers([], [1.0, math.nan, 3.0], gold, task)
    assert refutes(judge_answers([], gold, gold, task), broken, task, promise)


def test_a_classifier_stands_beside_the_commonest_class() -> None:
    gold = np.array([0] * 98 + [1] * 2)
    constant = judge_answers([], np.zeros(100, int), gold, TASK)
    found = beside_majority(constant, TASK, 0.9)
    assert found is not None
    assert (found["label"], found["share"], found["constant"]) == ("music", 0.98, True)
    assert not found["better"]
    right = beside_majority(judge_answers([], gold, gold, TASK), TASK, 0.9)
    assert right is not None
    assert right["better"]
    numbers = judge_answers([], [1.0, 2.0], [1.0, 2.0], Task(kind="regression"))
    assert beside_majority(numbers, Task(kind="regression"), 0.9) is None
