"""What a search allows its trainings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search.toy import contest_of

from leanformer.data import Examples
from leanformer.search.students.pace import TooLong
from leanformer.search.students.trainer import Trainer


def asked_of_teacher(folder: Path, texts: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """Epochs below which the teacher of so many texts is not trained; all that there is time for
    is less."""
    contest = contest_of(folder, "classification")
    train = Examples(texts=["rice"] * texts, labels=[index % 2 for index in range(texts)])
    contest.dataset = replace(contest.dataset, train=train)
    paces: list[Any] = []

    def run(*given: Any) -> None:
        paces.append(given[4])
        raise TooLong(0.0)

    trainer = Trainer(contest, folder, 2)
    monkeypatch.setattr(trainer, "_run", run)
    with pytest.raises(ValueError, match="minutes: 60 are too few to fine-tune the teacher"):
        trainer.finetune()
    return float(paces[0].least)


def test_of_many_texts_two_thousand_are_a_training_of_the_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked_of_teacher(tmp_path / "few", 1000, monkeypatch) == 0.5
    assert asked_of_teacher(tmp_path / "many", 10_000, monkeypatch) == 0.2
