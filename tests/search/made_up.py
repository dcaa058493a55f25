"""Contests whose systems were never run: how many texts they answer rightly is made up."""

from pathlib import Path

import numpy as np
from search.toy import contest_of

from leanformer.core.quantity import Quantity
from leanformer.data import Task
from leanformer.search.contest import Contest
from leanformer.search.entry import TEACHER, Entry
from leanformer.search.judged import Judged, judge_answers

STUDENTS = ("L3", "L2", "L1")
TEXTS = 1000


def answers_right(count: int) -> Judged:
    """Answers to 1,000 texts of which the first `count` are right."""
    gold = np.arange(TEXTS) % 2
    predicted = np.where(np.arange(TEXTS) < count, gold, 1 - gold)
    task = Task(kind="classification", labels=("music", "rice"))
    return judge_answers([], predicted, gold, task)


def contest_with(folder: Path, right: dict[str, int]) -> Contest:
    """A contest in which systems with so many right answers have entered."""
    contest = contest_of(folder, "classification")
    for name, count in right.items():
        role = "candidate" if name in STUDENTS else "teacher" if name == TEACHER else "baseline"
        contest.entries[name] = Entry(
            name=name, role=role, folder=folder, backend="pytorch", precision="fp32",
            judged=answers_right(count), model=contest.teacher, tokenizer=contest.tokenizer,
        )  # fmt: skip
    return contest


def rates(values: dict[str, float]) -> dict[str, dict[str, Quantity]]:
    """Made-up throughputs."""
    return {name: {"throughput": Quantity(value, "texts/s")} for name, value in values.items()}
