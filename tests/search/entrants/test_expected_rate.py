"""The share that n-grams are expected to pass on, on training texts whose labels are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search.toy import contest_of

from leanformer.data import Examples
from leanformer.search.contest import Contest
from leanformer.search.entrants import expected_rate as module
from leanformer.search.entrants.expected_rate import expected_rate

TEXTS = 500


class Teacher:
    """Answers every text rightly: the first word of a text is of its label."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def open(self) -> "Teacher":
        return self

    def answer(self, texts: list[str], pairs: None) -> list[np.ndarray[Any, Any]]:
        self.asked.append(len(texts))
        return [np.float32([4.0 * (text[-1] == "0"), 4.0 * (text[-1] == "1")]) for text in texts]


def contest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> tuple[Contest, list[int]]:
    """A contest of these training texts, whose last characters are their labels."""
    made, teacher = contest_of(folder, "classification"), Teacher()
    train = Examples(texts=texts, labels=[int(text[-1]) for text in texts])
    object.__setattr__(made.dataset, "train", train)
    monkeypatch.setattr(module, "whole_teacher", lambda entries: teacher)
    monkeypatch.setattr(module, "_MOST", 80)
    return made, teacher.asked


def told(unknown: int) -> list[str]:
    """Texts whose word gives the class away, but for one in so many, whose word has not been seen
    and says nothing."""
    rng = np.random.default_rng(0)
    words = [["song", "rice"][index % 2] for index in range(TEXTS)]
    for index in range(0, TEXTS, unknown):
        words[index] = "".join(rng.choice(list("qwxzjv"), 9))
    return [f"{word} {index % 2}" for index, word in enumerate(words)]


def without_numbers(examples: Examples) -> Examples:
    return Examples(texts=[text[:-2] for text in examples.texts], labels=examples.labels)


def test_what_ngrams_do_not_know_is_expected_to_be_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = module.fit_ngrams
    monkeypatch.setattr(module, "fit_ngrams", lambda some, task: fit(without_numbers(some), task))
    made, asked = contest(tmp_path / "few", monkeypatch, told(10_000))
    assert expected_rate(made) <= 0.02
    assert asked == [80]
    many, _ = contest(tmp_path / "many", monkeypatch, told(15))
    assert 0.1 <= expected_rate(many) <= 0.5  # a third of the fifth: 0, 15, 30 of each 45


def test_texts_in_the_order_of_their_labels_are_asked_of_each_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [
        f"{'song' if index < TEXTS // 2 else 'rice'} {2 * index // TEXTS}" for index in range(TEXTS)
    ]
    made, _ = contest(tmp_path, monkeypatch, texts)
    monkeypatch.setattr(module, "_MOST", 20)
    labels: list[set[int]] = []
    judge = module.judge_system

    def judged(system: Any, examples: Examples, task: Any) -> Any:
        labels.append(set(examples.labels or ()))
        return judge(system, examples, task)

    monkeypatch.setattr(module, "judge_system", judged)
    expected_rate(made)
    assert labels == [{0, 1}, {0, 1}]


def test_it_is_found_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = contest(tmp_path, monkeypatch, told(15))
    assert expected_rate(made) == expected_rate(made)
    assert len(asked) == 1
    (event,) = made.known("expected-rate")
    assert event["rate"] == expected_rate(made)


def test_all_are_expected_to_be_passed_on_where_nothing_can_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"word {int(index % 5 == 0)}" for index in range(TEXTS)]  # one class in four fifths
    made, _ = contest(tmp_path, monkeypatch, texts)
    assert expected_rate(made) == 1.0
