"""The n-gram student: taught by labels and by a teacher's answers, rounded, calibrated."""

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.data import Examples, Source, Task
from leanformer.distill.ngrams import fit_ngrams, round_weights
from leanformer.runtime.hashed_ngrams.reading import read_texts

TEXTS = ["dog fox", "dog cat", "card money", "card back", "film slow", "film quiet"]
TASK = Task(kind="classification", labels=("pet", "bank", "never", "film"))
EXAMPLES = Examples(texts=TEXTS, labels=[0, 0, 1, 1, 3, 3])
SHARED = Path(__file__).parents[3] / "shared/data"


def labelled(file: Path, label: str) -> tuple[list[str], list[str]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["text"] for row in rows], [row[label] for row in rows]


def test_a_class_without_examples_is_never_answered() -> None:
    rows = fit_ngrams(EXAMPLES, TASK).answer([*TEXTS, "nothing of this"])
    assert [row.argmax() for row in rows[:6]] == [0, 0, 1, 1, 3, 3]
    assert all(row[2] == -10_000 for row in rows)
    assert np.isfinite(rows).all()


def test_the_scores_are_those_of_the_machines_but_for_rounding() -> None:
    dataset = Source(path="bundled:intents").read()
    student = fit_ngrams(dataset.train, dataset.task)
    from leanformer.distill.linear_machines import fit_linear
    from leanformer.distill.ngram_features import design

    made = design(read_texts(dataset.train.texts))
    machines = fit_linear(
        made.x, np.array(dataset.train.labels), "classes", len(dataset.task.labels)
    )
    exact = machines.scores(made.x)
    rows = np.stack(student.answer(dataset.train.texts))
    ratio = (rows * exact).sum() / (exact * exact).sum()  # one over the temperature
    assert ratio > 1
    assert np.abs(rows / ratio - exact).max() < 0.05
    assert (rows.argmax(1) == exact.argmax(1)).mean() > 0.995


def test_two_classes_have_opposite_scores() -> None:
    examples = Examples(texts=TEXTS[:4], labels=[0, 0, 1, 1])
    rows = np.stack(
        fit_ngrams(examples, Task(kind="classification", labels=("a", "b"))).answer(TEXTS)
    )
    np.testing.assert_allclose(rows[:, 0], -rows[:, 1], atol=1e-6)


def test_a_teacher_labels_texts_without_labels() -> None:
    more = Examples(texts=["zebra mane", "zebra hoof", "loan rate", "loan term"])
    logits = np.array([[5, 0, 0, 0]] * 2 + [[0, 5, 0, 0]] * 2, np.float32)
    student = fit_ngrams(EXAMPLES, TASK, unlabelled=more, answers=list(logits))
    assert [row.argmax() for row in student.answer(["zebra", "loan", "film"])] == [0, 1, 3]


def test_teachers_decisions_numbers_grades_and_tags_are_labels_too() -> None:
    more = Examples(texts=["zebra"] * 9 + ["loan"] * 9)
    decisions = [np.array([1.0, -9.0], np.float32)] * 9 + [np.array([-9.0, 1.0], np.float32)] * 9
    task = Task(kind="multi-label", labels=("animal", "money"), thresholds=(0.7, 0.8))
    some = Examples(texts=["dog", "card"], labels=[[1.0, 0.0], [0.0, 1.0]])
    found = fit_ngrams(some, task, unlabelled=more, answers=decisions).answer(["zebra", "loan"])
    assert (np.stack(found) > 0).tolist() == [[True, False], [False, False]]  # 0.73 and 0.8

    numbers = [np.array([4.0], np.float32)] * 9 + [np.array([1.0], np.float32)] * 9
    some = Examples(texts=["dog", "card"], labels=[4.0, 1.0])
    found = fit_ngrams(some, Task(kind="regression"), unlabelled=more, answers=numbers).answer(
        ["zebra", "loan"]
    )
    assert found[0][0] > 3.5
    assert found[1][0] < 1.5

    paired = Examples(texts=["q"] * 18, pairs=more.texts)
    graded = Examples(texts=["q", "q"], pairs=["dog", "card"], labels=[1.0, 0.0], groups=["q", "q"])
    ranked = fit_ngrams(graded, Task(kind="ranking"), unlabelled=paired, answers=numbers)
    first, second = ranked.answer(["q", "q"], ["zebra", "loan"])
    assert first[0] > second[0]

    words = Examples(texts=["a zebra"] * 9, words=[["a", "zebra"]] * 9)
    tags = [np.array([[3, 0], [0, 3]], np.float32), np.full((2, 2), -np.inf, np.float32)] * 5
    some = Examples(texts=["a dog"], words=[["a", "dog"]], labels=[[0, 1]])
    task = Task(kind="tokens", labels=("O", "B-X"))
    (row,) = fit_ngrams(some, task, unlabelled=words, answers=tags[:9]).answer([["a", "zebra"]])
    assert row.argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens"])
def test_it_learns_what_the_tiny_data_hold(kind: str, tmp_path: Path) -> None:
    dataset = Source(path=str(tiny_data.write_data(tmp_path / kind, kind))).read()
    student, test = fit_ngrams(dataset.train, dataset.task), dataset.test
    given_texts: Any = test.words if kind == "tokens" else test.texts
    rows = student.answer(given_texts, test.pairs)
    if kind == "regression":
        assert np.corrcoef([row[0] for row in rows], test.labels)[0, 1] > 0.9
    else:
        assert [row.argmax(-1).tolist() for row in rows] == test.labels


@pytest.mark.parametrize(
    ("examples", "more", "message"),
    [
        ({"labels": [1] * 6}, {}, "all texts have the same label; a classifier needs two or more"),
        ({"texts": [""] * 6}, {}, "there is not a single word in the texts"),
        ({"labels": None}, {}, "examples: an n-gram model is fitted to labels, and there are none"),
        ({}, {"unlabelled": EXAMPLES}, "texts without labels need the teacher's answers"),
        ({}, {"unlabelled": EXAMPLES, "answers": []}, "answers: 0 for 6 texts"),
        (
            {},
            {"unlabelled": Examples(texts=["a"], pairs=["b"]), "answers": [np.zeros(4)]},
            "pairs are needed where the task has pairs, and only there",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    examples: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    given_examples = {"texts": TEXTS, "labels": [0, 0, 1, 1, 3, 3]} | examples
    with pytest.raises(ValueError, match=message):
        fit_ngrams(Examples(**given_examples), TASK, **more)


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="kind 'embedding' has no labels that an n-gram model"):
        fit_ngrams(Examples(texts=TEXTS), Task(kind="embedding"))


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 999), spread=st.floats(0.01, 100))
def test_rounding_errs_by_half_a_step_where_nothing_is_clipped(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-spread, spread, (40, 3))
    weights[:, 2] = 0
    codes, scales = round_weights(weights, rng.integers(1, 9, 40))
    inside = np.abs(weights) <= 127 * scales
    error = np.abs(codes * scales - weights)
    assert (error[inside] <= scales.repeat(40).reshape(3, 40).T[inside] / 2 + 1e-12).all()
    assert (codes[:, 2] == 0).all()
    assert np.abs(codes.astype(int)).max() <= 127


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"there are no data sets in {SHARED}")
@pytest.mark.parametrize(
    ("folder", "label", "least"),
    [
        ("intent/banking77", "label", 0.900),
        ("topic/trec", "coarse", 0.87),
        ("sentiment/sst2_sentences", "label", 0.82),
    ],
)
def test_real_data_are_answered_as_well_as_by_floating_point_machines(
    folder: str, label: str, least: float
) -> None:
    texts, names = labelled(SHARED / folder / "train.tsv.gz", label)
    labels = tuple(sorted(set(names)))
    index = {name: place for place, name in enumerate(labels)}
    examples = Examples(texts=texts, labels=[index[name] for name in names])
    student = fit_ngrams(examples, Task(kind="classification", labels=labels))
    asked, right = labelled(SHARED / folder / "test.tsv.gz", label)
    rows = np.stack(student.answer(asked))
    gold = np.array([index[name] for name in right])
    assert (rows.argmax(1) == gold).mean() > least
    powers = np.exp(rows - rows.max(1, keepdims=True))
    confidence = (powers.max(1) / powers.sum(1)).mean()
    assert abs(confidence - (rows.argmax(1) == gold).mean()) < 0.05  # calibrated
