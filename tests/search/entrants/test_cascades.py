"""Cascades of a search, on systems whose answers to dev are made up."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search.made_up import rates
from search.toy import contest_of

from leanformer.core.quantity import Quantity
from leanformer.data import Examples
from leanformer.search.contest import Contest
from leanformer.search.entrants import cascades
from leanformer.search.entrants import chains as module
from leanformer.search.entrants.cascades import enter_cascades
from leanformer.search.entrants.chains import (
    Chain,
    behind_ngrams,
    ngrams_lead,
    share_confidence,
    speed_up_left,
)
from leanformer.search.entry import INT8_TEACHER, NGRAMS, TEACHER, Entry
from leanformer.search.outcome import pick

TEXTS = 1000
SPEEDS = {TEACHER: 1.0, INT8_TEACHER: 2.0, "L3": 4.0, "L1": 12.0, NGRAMS: 400.0}
ROLES = {TEACHER: "teacher", INT8_TEACHER: "baseline"}


def logits(right: np.ndarray, sure: np.ndarray) -> list[Any]:
    """Outputs of two classes; the first is right of even texts."""
    best = np.where(right, np.arange(TEXTS) % 2, 1 - np.arange(TEXTS) % 2)
    rows = np.zeros((TEXTS, 2), np.float32)
    rows[np.arange(TEXTS), best] = sure
    return list(rows)


def contest(folder: Path, monkeypatch: pytest.MonkeyPatch, keep: float, **students: int) -> Contest:
    """Teachers that are always right; students that err in so many of the last texts; n-grams that
    err in the 100 texts of which they are least sure, and in 5 others. Nothing is saved."""
    made = contest_of(folder, "classification")
    labels = [index % 2 for index in range(TEXTS)]
    dev = Examples(texts=[f"text {index}" for index in range(TEXTS)], labels=labels)
    object.__setattr__(made.dataset, "dev", dev)
    made.request = replace(made.request, keep=keep)
    places, sure = np.arange(TEXTS), np.linspace(0.1, 3, TEXTS)
    answers = {
        TEACHER: logits(places >= 0, sure),
        INT8_TEACHER: logits(places >= 0, sure),
        **{name: logits(places < TEXTS - wrong, sure) for name, wrong in students.items()},
        NGRAMS: logits((places >= 100) & (places % 200 != 150), sure),
    }
    for name, outputs in answers.items():
        made.seconds[name] = 1 / SPEEDS[name]
        made.entries[name] = Entry(
            name=name, role=ROLES.get(name, "candidate"), folder=folder, backend="pytorch",
            precision="fp32", judged=made.judge_dev(outputs),
            system="hashed-ngrams" if name == NGRAMS else "transformer",
        )  # fmt: skip
    monkeypatch.setattr(cascades, "_enter", lambda contest, chain, folder: entered.append(chain))
    entered: list[Chain] = []
    made.entered = entered  # type: ignore[attr-defined]
    made.record.write("expected-rate", rate=0.5)  # as if training texts had said so
    return made


def test_ngrams_pass_on_what_they_are_unsure_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path, monkeypatch, 0.97)
    (chain,) = enter_cascades(made, tmp_path)
    assert chain.name == f"{NGRAMS} → {INT8_TEACHER}"
    assert chain.gated.proven is not None
    assert chain.gated.proven.rate == 0.085  # of those it keeps, 20 of 1,000 are wrong
    assert chain.proven == (chain.name,)
    assert made.entered == [chain]  # type: ignore[attr-defined]
    (event,) = made.known("gate")
    assert (event["rate"], event["proven"], event["gate"]) == (0.085, True, "margin")
    assert [row["proven"] for row in event["rows"]][-1] is False


def test_a_cascade_of_ngrams_is_there_where_it_is_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path, monkeypatch, 0.97, L3=5, L1=600)
    found = {name: behind_ngrams(made, made.entries[name]) for name in ("L3", "L1", INT8_TEACHER)}
    assert found["L1"] is None  # wrong of most texts that are passed on
    for name in ("L3", INT8_TEACHER):
        assert found[name] == next(
            one for one in enter_cascades(made, tmp_path) if one.name == f"{NGRAMS} → {name}"
        )
    del made.entries[NGRAMS]
    assert behind_ngrams(made, made.entries["L3"]) is None


def left(made: Contest) -> float:
    return speed_up_left(made, behind_ngrams(made, made.entries[INT8_TEACHER]))


def test_what_students_could_gain_counts_the_doubt_that_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path, monkeypatch, 0.97)
    rates = []
    for confidence in (0.9, 1 - 0.1 / 4):
        made.request = replace(made.request, confidence=confidence)
        chain = behind_ngrams(made, made.entries[INT8_TEACHER])
        assert chain is not None
        assert chain.gated.proven is not None
        rates.append(chain.gated.proven.rate)
    made.request = replace(made.request, confidence=0.9)
    alone, shared = rates
    assert alone < shared
    cheap, dear = 1 / SPEEDS[NGRAMS], 1 / SPEEDS[INT8_TEACHER]
    expected = (cheap + alone * dear) / (cheap + shared * dear / 2.2)
    assert left(made) == pytest.approx(expected)
    short = contest(tmp_path / "short", monkeypatch, 0.995)
    monkeypatch.setattr(module, "_CHAINS", 100)  # a thousand texts prove 99.3 % with what is left
    assert left(short) == 0
    made.request = replace(made.request, goal="size")
    assert left(made) == math.inf


@pytest.mark.parametrize("goal", ["size", "memory"])
@pytest.mark.parametrize(
    ("keep", "teacher_bytes", "expected"),
    [
        (0.879, 401.0, 0.0),  # proven with the whole doubt, and not with a quarter of it
        (0.879, 400.0, math.inf),  # a student may be as small
        (0.85, 401.0, math.inf),  # proven either way
        (0.97, 401.0, math.inf),  # by a cascade, which is larger than the teacher
    ],
)
def test_small_ngrams_that_are_proven_do_not_lose_their_proof_to_students(
    goal: Any,
    keep: float,
    teacher_bytes: float,
    expected: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = contest(tmp_path, monkeypatch, keep)
    sizes = {NGRAMS: 100.0, INT8_TEACHER: teacher_bytes}
    for name, entry in made.entries.items():
        object.__setattr__(entry, "folder", tmp_path / name)
    monkeypatch.setattr(
        module, "served_size", lambda folder, *_: Quantity(sizes[folder.name], "bytes")
    )
    made.request = replace(made.request, goal=goal)
    assert left(made) == expected


def test_doubt_is_shared_among_chains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = contest(tmp_path, monkeypatch, 0.9, L3=20)
    chains = enter_cascades(made, tmp_path)
    assert {chain.name for chain in chains} == {
        f"{NGRAMS} → {INT8_TEACHER}", f"{NGRAMS} → L3", f"L3 → {INT8_TEACHER}"
    }  # fmt: skip
    assert share_confidence(made, chains) == pytest.approx(1 - 0.1 / 4)  # students are the fourth
    assert share_confidence(made, []) == pytest.approx(1 - 0.1 / 2)  # n-grams by themselves
    alone = contest(tmp_path / "alone", monkeypatch, 0.9)
    assert share_confidence(alone, enter_cascades(alone, tmp_path)) == pytest.approx(0.9)
    assert {event["confidence"] for event in made.known("gate")} == {share_confidence(made, chains)}


def test_where_ngrams_lead_students_are_tested_behind_them_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path, monkeypatch, 0.97, L3=20)
    made.record.write("expected-rate", rate=0.2)
    assert ngrams_lead(made)
    chains = enter_cascades(made, tmp_path)
    assert [chain.name for chain in chains] == [
        f"{NGRAMS} → {INT8_TEACHER}", f"{NGRAMS} → L3"
    ]  # fmt: skip
    assert share_confidence(made, chains) == pytest.approx(1 - 0.1 / 2)
    picked = pick(made, rates({**SPEEDS, "L3": 1000.0}), chains)  # proven, had it been tested
    assert picked is not None
    assert (picked.name, picked.proven) == (INT8_TEACHER, True)
    made.request = replace(made.request, goal="size")  # n-grams before a teacher take more
    assert not ngrams_lead(made)
    assert len(enter_cascades(made, tmp_path)) == 3


def test_a_student_behind_ngrams_need_not_keep_enough_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path, monkeypatch, 0.97, L3=100)  # of texts that n-grams are sure of
    made.record.write("expected-rate", rate=0.2)
    chain = behind_ngrams(made, made.entries["L3"])
    assert chain is not None
    assert chain.gated.proven is not None
    assert chain.gated.rows[0].asked == 0.4  # twice the expected rate
    assert chain.gated.proven.rate < 0.2
    made.record.write("expected-rate", rate=1.0)
    assert behind_ngrams(made, made.entries["L3"]) is None  # tested from the student alone


def test_ngrams_that_need_nobody_are_proven_by_their_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path, monkeypatch, 0.8)
    chains = enter_cascades(made, tmp_path)
    assert chains[0].proven == (NGRAMS,)
    assert made.entered == []  # type: ignore[attr-defined]
    picked = pick(made, rates(SPEEDS), chains)
    assert picked is not None
    assert (picked.name, picked.proven) == (NGRAMS, True)


def test_a_student_that_fails_does_not_stand_in_the_way_of_a_cascade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path, monkeypatch, 0.97, L3=100)
    chains = enter_cascades(made, tmp_path)
    name = f"{NGRAMS} → {INT8_TEACHER}"
    made.entries[name] = replace(
        made.entries[INT8_TEACHER], name=name, role="candidate", system="cascade"
    )
    picked = pick(made, rates({**SPEEDS, name: 30.0}), chains)
    assert picked is not None
    assert (picked.name, picked.proven) == (name, True)


def test_there_are_none_where_none_is_wanted_or_nothing_says_how_sure_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest(tmp_path, monkeypatch, 0.9)
    made.request = replace(made.request, portable=True)
    assert enter_cascades(made, tmp_path) == []
    assert enter_cascades(contest_of(tmp_path / "numbers", "regression"), tmp_path) == []
    assert made.known("gate") == []
