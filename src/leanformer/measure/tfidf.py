"""The simplest rival: n-grams of words and characters, weighted by TF-IDF, and a linear model.

    x = [tfidf(words 1-2), tfidf(characters 3-5)]        answer = W x + b

A user fits it in seconds with scikit-learn. On topics and intents it is nearly as good as a
transformer at a hundredth of its cost, so that no contest is fair without it: whatever is promised
of a student must be worth more than this.

    classification   linear support vector machines, one against the rest
    regression       ridge regression
    multi-label      the same machines, one per label
    ranking          ridge regression to the grades
    tokens           the same machines on each word with its neighbours
    embedding        ridge regression to the teacher's vectors, after a truncated SVD

A pair of texts is both texts' features and their products.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.data import Examples, Task
from leanformer.tasks import TaskKind
from leanformer.text import split_words

_COMPONENTS = 256  # of the truncated SVD
_WINDOW = 2  # neighbours of a word on either side


class Tfidf:
    """A linear model on TF-IDF features, fitted once.

    Attributes:
        seconds: Seconds that fitting took.
    """

    def __init__(
        self, examples: Examples, task: Task, targets: NDArray[np.float32] | None = None
    ) -> None:
        """Fit the model.

        Args:
            examples: The training examples, with labels unless the task is embedding.
            task: Kind and labels.
            targets: For embedding, the teacher's vectors of the examples [text, width].
        """
        started = time.perf_counter()
        self.task = task
        self.features = _features(task.about)
        if task.about.reads_words:
            assert examples.words is not None
            assert examples.labels is not None
            rows: Any = [row for words in examples.words for row in _windows(words)]
            labels: Any = [label for sentence in examples.labels for label in sentence]  # type: ignore[union-attr]
        else:
            rows, labels = examples.texts, targets if task.about.form is None else examples.labels
        self.features.fit([*rows, *(examples.pairs or ())])
        x = self._design(rows, examples.pairs)
        if task.about.output == "decisions" and task.labels:
            labels = np.asarray(labels)
        self.model = _model(task.about, min(x.shape) - 1).fit(x, labels)
        self.seconds = time.perf_counter() - started

    def answer(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> list[NDArray[np.float32]]:
        """The output of each text, in the form of a served model's: [label], [1] or [width].

        For tokens [word, label], for the words that `split_words` finds.
        """
        if self.task.about.reads_words:
            places = [split_words(text) for text in texts]
            words = [[t[a:b] for a, b in found] for t, found in zip(texts, places, strict=True)]
            return self.answer_words(words)
        if not texts:
            return []
        return list(self._outputs(self._design(texts, pairs)))

    def answer_words(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        """[word, label] of each sentence of words."""
        rows = [row for words in sentences for row in _windows(words)]
        if not rows:
            return [np.zeros((0, len(self.task.labels)), np.float32) for _ in sentences]
        found = self._outputs(self._design(rows, None))
        return np.split(found, np.cumsum([len(words) for words in sentences])[:-1])

    def _design(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Any:
        from scipy import sparse

        first = self.features.transform(texts)
        if pairs is None:
            return first
        second = self.features.transform(pairs)
        product = first.multiply(second)
        return sparse.hstack([first, second, product, product.sum(1)]).tocsr()

    def _outputs(self, x: Any) -> NDArray[np.float32]:
        if self.task.about.output in ("numbers", "vector") or not self.task.labels:
            found = np.asarray(self.model.predict(x), np.float32)
            return found.reshape(len(found), -1)
        scores = np.asarray(self.model.decision_function(x), np.float32)
        if self.task.about.output == "decisions":
            return scores
        if scores.ndim == 1:  # of two classes there is one score
            scores = np.stack([-scores, scores], axis=1)
        whole = np.full((len(scores), len(self.task.labels)), -np.inf, np.float32)
        whole[:, self.model.classes_] = scores
        return whole


def _features(about: TaskKind) -> Any:
    """Vectorizers of words and characters; for a tagged word, of its window and of the word."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    characters: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (3, 5)}
    words: dict[str, Any] = {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
    if about.reads_words:
        characters |= {"preprocessor": _itself}
        words = {"preprocessor": _neighbours, "token_pattern": r"\S+"}
    return make_union(
        TfidfVectorizer(sublinear_tf=True, **words),
        TfidfVectorizer(sublinear_tf=True, **characters),
    )


def _model(about: TaskKind, rank: int) -> Any:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.linear_model import Ridge
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    if about.output == "numbers" or about.grouped:
        return Ridge(alpha=1.0)
    if about.output == "decisions":
        return OneVsRestClassifier(LinearSVC(random_state=0))
    if about.output == "vector":
        components = max(1, min(_COMPONENTS, rank))
        return make_pipeline(TruncatedSVD(components, random_state=0), Ridge(alpha=0.1))
    return LinearSVC(random_state=0)


def _windows(words: Sequence[str]) -> list[str]:
    """Each word, a tab, and its window, in which every neighbour is marked by its distance."""
    rows = []
    for place, word in enumerate(words):
        near = range(max(0, place - _WINDOW), min(len(words), place + _WINDOW + 1))
        rows.append(f"{word}\t" + " ".join(f"{other - place}:{words[other]}" for other in near))
    return rows


def _itself(row: str) -> str:
    return row.partition("\t")[0]


def _neighbours(row: str) -> str:
    return row.partition("\t")[2].lower()
