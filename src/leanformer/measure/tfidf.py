"""The simplest rival: n-grams of words and characters, weighted by TF-IDF, and a linear model.

A user fits it in seconds with scikit-learn. On topics and intents it is nearly as good as a
transformer at a hundredth of its cost, so that no comparison is fair without it: whatever is
promised of a student must be worth more than this.

    classification   linear support vector machines, one against the rest
    regression       ridge regression
    multi-label      the same machines, one per label
    ranking          ridge regression to the grades
    tokens           the same machines on each word with its neighbours
    embedding        ridge regression to the teacher's vectors, after a truncated SVD

It is served like any other system (`runtime.systems.ngrams`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.data import Examples, Task
from leanformer.runtime.manifest import Manifest
from leanformer.runtime.systems.ngrams import Analyser, Ngrams, design, windows
from leanformer.tasks import TaskKind, served_kind

_COMPONENTS = 256  # of the truncated SVD


def fit_tfidf(examples: Examples, task: Task, targets: NDArray[np.float32] | None = None) -> Ngrams:
    """Fit a linear model on TF-IDF features.

    Args:
        examples: The training examples, with labels unless the task is embedding.
        task: Kind and labels.
        targets: For embedding, the teacher's vectors of the examples [text, width].

    Raises:
        ValueError: scikit-learn cannot: there is one class only, or there are no words.
    """
    if task.about.reads_words:
        assert examples.words is not None
        assert examples.labels is not None
        rows: Any = [row for words in examples.words for row in windows(words)]
        labels: Any = [label for sentence in examples.labels for label in sentence]  # type: ignore[union-attr]
    else:
        rows, labels = examples.texts, targets if task.about.form is None else examples.labels
    analysers = _analysers(task.about)
    for one in analysers:
        one.vectorizer.fit([*rows, *(examples.pairs or ())])
    x = design(analysers, rows, examples.pairs)
    manifest = Manifest(
        kind=served_kind(task.kind), labels=tuple(task.labels), pairs=examples.pairs is not None
    )
    return Ngrams(analysers, _fitted(task.about, x, labels), manifest)


def _analysers(about: TaskKind) -> list[Analyser]:
    """Analysers of words and characters; for a tagged word, of its window and of the word."""
    characters: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": [3, 5]}
    words: dict[str, Any] = {"ngram_range": [1, 2], "token_pattern": r"(?u)\b\w+\b"}
    if about.reads_words:
        window = {**words, "token_pattern": r"\S+"}
        return [Analyser(window, "window"), Analyser(characters, "word")]
    return [Analyser(words), Analyser(characters)]


def _fitted(about: TaskKind, x: Any, labels: Any) -> dict[str, NDArray[Any]]:
    """The numbers of the linear model."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.linear_model import Ridge
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    if about.output == "numbers" or about.grouped:
        ridge = Ridge(alpha=1.0).fit(x, np.asarray(labels).reshape(-1))
        return {"W": ridge.coef_.reshape(1, -1), "b": np.reshape(ridge.intercept_, 1)}
    if about.output == "decisions":
        return _decisions(OneVsRestClassifier(LinearSVC(random_state=0)).fit(x, np.asarray(labels)))
    if about.output == "vector":
        components = max(1, min(_COMPONENTS, min(x.shape) - 1))
        svd = TruncatedSVD(components, random_state=0)
        ridge = Ridge(alpha=0.1).fit(svd.fit_transform(x), labels)
        return {"components": svd.components_, "W": ridge.coef_, "b": ridge.intercept_}
    machines = LinearSVC(random_state=0).fit(x, labels)
    return {"W": machines.coef_, "b": machines.intercept_, "classes": machines.classes_}


def _decisions(machines: Any) -> dict[str, NDArray[Any]]:
    """One linear machine per label; a label that all texts have, or none, needs no weights."""
    width = machines.n_features_in_
    rows, offsets = [], []
    for one in machines.estimators_:
        constant = not hasattr(one, "coef_")
        rows.append(np.zeros(width) if constant else one.coef_[0])
        offsets.append((1.0 if one.y_[0] else -1.0) if constant else one.intercept_[0])
    return {"W": np.stack(rows), "b": np.array(offsets)}
