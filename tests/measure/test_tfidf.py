from typing import Any

import numpy as np
import pytest
import tiny_data
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from leanformer.data import Examples, Source, Task
from leanformer.measure.tfidf import fit_tfidf


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("data")
    kinds = ("classification", "regression", "tokens", "embedding")
    return {k: Source(path=str(tiny_data.write_data(place / k, k))).read() for k in kinds}


def test_a_classifier_is_a_linear_machine_on_n_grams_of_words_and_characters(data: Any) -> None:
    dataset = data["classification"]
    rival = fit_tfidf(dataset.train, dataset.task)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    train = np.hstack([v.fit_transform(dataset.train.texts).toarray() for v in (words, characters)])
    test = np.hstack([v.transform(dataset.test.texts).toarray() for v in (words, characters)])
    expected = LinearSVC(random_state=0).fit(train, dataset.train.labels).decision_function(test)
    rows = rival.answer(dataset.test.texts)
    np.testing.assert_allclose([row[1] for row in rows], expected, rtol=1e-3, atol=1e-3)
    assert [row.argmax() for row in rows] == dataset.test.labels
    assert rival.answer([]) == []


def test_a_class_without_examples_is_never_answered() -> None:
    task = Task(kind="classification", labels=("a", "b", "c", "d"))
    texts = ["dog fox", "dog cat", "card money", "card back", "film slow", "film quiet"]
    rival = fit_tfidf(Examples(texts=texts, labels=[0, 0, 1, 1, 3, 3]), task)
    rows = rival.answer(texts)
    assert [row.argmax() for row in rows] == [0, 0, 1, 1, 3, 3]
    assert all(row[2] == -np.inf for row in rows)


def test_pairs_are_told_apart_by_what_they_share(data: Any) -> None:
    dataset = data["regression"]
    rival = fit_tfidf(dataset.train, dataset.task)
    rows = rival.answer(dataset.test.texts, dataset.test.pairs)
    assert {row.shape for row in rows} == {(1,)}
    assert np.corrcoef([row[0] for row in rows], dataset.test.labels)[0, 1] > 0.9


def test_words_are_tagged_with_their_neighbours(data: Any) -> None:
    dataset = data["tokens"]
    rival = fit_tfidf(dataset.train, dataset.task)
    rows = rival.answer(dataset.test.words)
    for row, tags in zip(rows, dataset.test.labels, strict=True):
        assert row.argmax(1).tolist() == tags
    text = " ".join(dataset.test.words[0])
    np.testing.assert_allclose(rival.answer([text.split()])[0], rows[0])
    assert rival.answer([[]])[0].shape == (0, 2)
    assert rival.answer([]) == []


def test_vectors_are_taught_by_the_teacher(data: Any) -> None:
    dataset = data["embedding"]
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(2, 8)).astype(np.float32)
    targets = directions[[int("the" in text.split()) for text in dataset.train.texts]]
    rival = fit_tfidf(dataset.train, dataset.task, targets)
    rows = np.stack(rival.answer(dataset.train.texts))
    assert rows.shape == targets.shape
    cosines = (
        (rows * targets).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(targets, axis=1)
    )
    assert cosines.mean() > 0.9


def test_label_sets_have_a_machine_per_label_and_grades_a_ridge() -> None:
    texts = ["fox", "card", "fox card", "the"] * 6
    labels = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]] * 6
    task = Task(kind="multi-label", labels=("animal", "money"))
    fitted = fit_tfidf(Examples(texts=texts, labels=labels), task)
    found = np.stack(fitted.answer(["fox", "card", "the"]))
    assert (found > 0).tolist() == [[True, False], [False, True], [False, False]]
    grades = [float("fox" in text) for text in texts]
    ranked = fit_tfidf(
        Examples(texts=["q"] * 24, pairs=texts, labels=grades, groups=["q"] * 24),
        Task(kind="ranking"),
    )
    first, second = ranked.answer(["q", "q"], ["fox", "card"])
    assert first.shape == (1,)
    assert first > second
