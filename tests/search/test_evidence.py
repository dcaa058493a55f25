from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search.toy import KINDS, contest_of, served

from leanformer.models.tiny import tiny_model
from leanformer.runtime.torch_backend import TorchSession
from leanformer.search import evidence
from leanformer.search.contest import Contest
from leanformer.search.judged import Judged


def judged(folder: Path, kind: Any) -> tuple[Contest, Judged, Judged]:
    """A contest with what two random models say about its test split."""
    contest = contest_of(folder, kind)
    head = {"tokens": "tokens", "embedding": "embedding"}.get(kind, "classification")
    width = 1 if kind == "regression" else 2
    other = tiny_model("bert", head=head, num_labels=width, seed=5)[0]
    teacher, student = (
        contest.judge(served(contest, TorchSession(model, kind)), "test")
        for model in (contest.teacher, other)
    )
    return contest, teacher, student


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_share_out_all_examples(tmp_path: Path, kind: Any) -> None:
    contest, teacher, student = judged(tmp_path, kind)
    encoded = contest.encode(contest.dataset.test, contest.tokenizer)
    lengths = np.array([encoded.length(index) for index in range(16)])
    rows = evidence.by_length(contest.dataset, lengths.tolist(), teacher, student)
    assert [row["name"] for row in rows] == ["up to 8 tokens", "up to 16 tokens"]
    assert sum(row["count"] for row in rows) == 16
    for row, members in zip(rows, (lengths <= 8, lengths > 8), strict=True):
        chosen = np.flatnonzero(members).tolist()
        assert row["count"] == len(chosen)
        for name, one in (("teacher", teacher), ("student", student)):
            predicted, gold = (
                [side[index] for index in chosen] for side in (one.predicted, one.gold)
            )
            if kind in ("classification", "embedding"):
                predicted, gold = np.array(predicted), np.array(gold)
            alone = contest.dataset.task.scorer().score(predicted, gold)
            assert row[name] == pytest.approx(alone)


@pytest.mark.parametrize("metric", ["accuracy", "macro-f1", "mcc", "f1:rice"])
def test_classes_share_out_all_examples_by_right_answers(tmp_path: Path, metric: str) -> None:
    contest, teacher, student = judged(tmp_path, "classification")
    dataset = replace(contest.dataset, task=replace(contest.dataset.task, metric=metric))
    rows = {row["name"]: row for row in evidence.by_class(dataset, teacher, student)}
    assert set(rows) == {"music", "rice"}
    assert sum(row["count"] for row in rows.values()) == 16
    for label, name in enumerate(("music", "rice")):
        members = [index for index, gold in enumerate(dataset.test.labels or ()) if gold == label]
        assert rows[name]["count"] == len(members)
        for who, one in (("teacher", teacher), ("student", student)):
            hits = [one.outputs[index].argmax() == label for index in members]
            assert rows[name][who] == np.mean(hits)


def test_disagreements_are_all_there_the_surest_first(tmp_path: Path) -> None:
    contest, teacher, _ = judged(tmp_path, "classification")
    dataset = contest.dataset
    chance = np.random.default_rng(0)
    outputs = [chance.normal(size=2).astype(np.float32) for _ in range(16)]
    student = replace(teacher, outputs=outputs)
    rows = evidence.disagreements(dataset, teacher, student)
    names = dataset.task.labels
    expected = {
        text: (names[gold], names[theirs.argmax()], names[ours.argmax()])
        for text, gold, theirs, ours in zip(
            dataset.test.texts, dataset.test.labels or (), teacher.outputs, outputs, strict=True
        )
        if theirs.argmax() != ours.argmax()
    }
    assert len(rows) == len(expected) > 2
    assert {r["text"]: (r["label"], r["teacher"], r["student"]) for r in rows} == expected
    surest = [min(row["teacher_confidence"], row["student_confidence"]) for row in rows]
    assert surest == sorted(surest, reverse=True)
    for row in rows:
        logits = outputs[dataset.test.texts.index(row["text"])]
        share = 1 / (1 + np.exp(-abs(logits[0] - logits[1])))
        assert row["student_confidence"] == pytest.approx(share, rel=1e-5)
        assert row["pair"] is None


def test_one_who_agrees_has_no_disagreements(tmp_path: Path) -> None:
    contest, teacher, _ = judged(tmp_path, "classification")
    dataset = contest.dataset
    assert evidence.disagreements(dataset, teacher, teacher) == []
