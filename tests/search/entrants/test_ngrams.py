from dataclasses import replace
from pathlib import Path

import pytest
from search.toy import contest_of, served

from leanformer.data import Examples
from leanformer.runtime.torch_backend import TorchSession
from leanformer.search.contest import Contest
from leanformer.search.entrants import ngrams
from leanformer.search.entrants.ngrams import enter_ngrams, fit_taught
from leanformer.search.entry import NGRAMS, TEACHER, Entry


def contest(folder: Path, kind: str = "classification") -> Contest:
    """A contest whose teacher has entered and answers dev in a thousandth of a second per text."""
    made = contest_of(folder, kind)
    session = TorchSession(made.teacher, made.kind)
    made.entries[TEACHER] = Entry(
        name=TEACHER, role="teacher", folder=folder, backend="pytorch", precision="fp32",
        judged=made.judge(served(made, session), "dev"),
    )  # fmt: skip
    made.seconds[TEACHER] = 0.001
    return made


def unlabelled(made: Contest, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Texts without labels for a teacher that answers by the word "rice"; how many it was asked."""
    object.__setattr__(made.dataset, "unlabelled", Examples(texts=texts))
    asked: list[int] = []

    class Teacher:
        name = TEACHER

        def open(self) -> "Teacher":
            return self

        def answer(self, texts: list[str], pairs: None) -> list[list[float]]:
            asked.append(len(texts))
            return [[0.0, 1.0 if "rice" in text else -1.0] for text in texts]

    monkeypatch.setattr(ngrams, "whole_teacher", lambda entries: Teacher())
    return asked


def test_they_take_part_in_int8(tmp_path: Path) -> None:
    made = contest(tmp_path)
    enter_ngrams(made, tmp_path / "ngrams")
    entry = made.entries[NGRAMS]
    assert (entry.role, entry.system, entry.precision) == ("candidate", "hashed-ngrams", "int8")
    assert entry.dev == 1.0  # train's texts
    assert made.seconds[NGRAMS] > 0
    (model,) = [event for event in made.known("model") if event["name"] == NGRAMS]
    assert model["quantities"]["fit"]["unit"] == "s"


def test_a_portable_search_and_one_of_vectors_have_none(tmp_path: Path) -> None:
    made = contest(tmp_path / "classes")
    made.request = replace(made.request, portable=True)
    vectors = contest(tmp_path / "vectors", "embedding")
    for one in (made, vectors):
        enter_ngrams(one, tmp_path / "ngrams")
        assert NGRAMS not in one.entries


def test_texts_without_labels_join_in_only_where_they_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path)
    asked = unlabelled(made, ["more rice"] * 30 + ["a song"] * 30, monkeypatch)
    fit_taught(made)
    (event,) = made.known("unlabelled")
    assert asked == [60]
    assert 0 <= event["alone"] <= 1
    wrong = contest(tmp_path / "wrong")  # the same texts with the labels the other way round
    train = wrong.dataset.train
    unlabelled(wrong, [f"{text} rice" for text in train.texts * 5], monkeypatch)
    fit_taught(wrong)
    (event,) = wrong.known("unlabelled")
    assert event["taught"] <= event["alone"]


def test_the_teacher_is_asked_for_a_twentieth_of_the_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path)
    made.request = replace(made.request, minutes=1.0)
    made.seconds[TEACHER] = 0.1
    asked = unlabelled(made, [f"rice {index}" for index in range(100)], monkeypatch)
    fit_taught(made)
    assert asked == [30]  # 3 of 60 seconds
