"""N-grams of words and characters, weighted by TF-IDF, and a linear model: no tokens, no batches.

    x = [tfidf(words 1-2), tfidf(characters 3-5)]        answer = W x + b

    classification   scores of linear machines, one against the rest
    regression       a number
    tokens           the same machines on each word with its neighbours
    embedding        a vector: x is projected by the components of a truncated SVD first

A pair of texts is both texts' features and their products. A folder holds the terms and settings in
JSON and the numbers in safetensors; scikit-learn counts the terms, and nothing needs torch.

    <folder>/ngrams.json           analysers with their settings and terms
    <folder>/ngrams.safetensors    idf.0, idf.1, W [C, F], b [C], classes [C], components [K, F]
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.storage.files import new_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.safetensors_file import read_arrays
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.system import Cut, Outputs, System, served
from leanformer.tasks import kind_named

_TERMS, _NUMBERS = "ngrams.json", "ngrams.safetensors"
_WINDOW = 2  # neighbours of a word on either side
_NEEDED = ("W", "b")


@served
class Ngrams(System):
    """A linear model on TF-IDF features.

    Attributes:
        analysers: scikit-learn's vectorizers, fitted.
        numbers: "W", "b", for classes "classes", and for embedding "components".
    """

    name = "ngrams"

    def __init__(
        self, analysers: Sequence[Any], numbers: dict[str, NDArray[Any]], manifest: Manifest
    ) -> None:
        """Put the parts together.

        Raises:
            ValueError: The numbers do not belong to these terms and labels.
        """
        self.analysers, self.numbers = list(analysers), numbers
        self.manifest = replace(
            manifest, system=self.name, backend="scikit-learn", precision="fp64"
        )
        self.pins = {"threads": self.threads}
        self._check()

    @classmethod
    def open(
        cls,
        folder: Path,
        manifest: Manifest,
        *,
        threads: int | None,
        concurrency: int = 1,
        rows: int | None = None,
    ) -> "Ngrams":
        """See `System.open`; it computes with one thread, and text by text."""
        described = read_json(folder / _TERMS)
        try:
            numbers = read_arrays(folder / _NUMBERS)
            analysers = [
                analyser_of(
                    one["settings"], one["reads"], one["terms"], numbers.pop(f"idf.{place}")
                )
                for place, one in enumerate(described["analysers"])
            ]
            return cls(analysers, numbers, manifest)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{folder / _TERMS} or {_NUMBERS} is damaged ({error}); fit it again"
            ) from error

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Manifest:
        """Write a folder that `leanformer.load` opens.

        Raises:
            FileExistsError: `folder` holds something, and `overwrite` is false.
        """
        from safetensors.numpy import save_file

        described = [
            {"settings": one.settings, "reads": one.reads, "terms": one.terms}
            for one in self.analysers
        ]
        idf = {f"idf.{place}": one.idf for place, one in enumerate(self.analysers)}
        whole = {name: np.ascontiguousarray(value) for name, value in (idf | self.numbers).items()}
        with new_folder(Path(folder), overwrite=overwrite) as temporary:
            write_text(temporary / _TERMS, json.dumps({"analysers": described}, ensure_ascii=False))
            save_file(whole, temporary / _NUMBERS)
            return write_manifest(temporary, self.manifest)

    def answer(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> Outputs:
        """See `System.answer`; nothing is cut, since texts are read whole."""
        if not kind_named(self.manifest.kind).reads_words:
            return list(self._outputs(self._features(texts, pairs))) if len(texts) else []
        rows = [row for words in texts for row in windows(words)]
        ends = np.cumsum([len(words) for words in texts])
        width = len(self.manifest.labels)
        found = self._outputs(self._features(rows, None)) if rows else np.zeros((0, width))
        return [part.astype(np.float32) for part in np.split(found, ends[:-1])] if len(ends) else []

    def _features(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Any:
        return design(self.analysers, texts, pairs)

    def _outputs(self, x: Any) -> NDArray[np.float32]:
        if "components" in self.numbers:
            x = x @ self.numbers["components"].T
        scores = np.asarray(x @ self.numbers["W"].T + self.numbers["b"], np.float32)
        if "classes" not in self.numbers:
            return scores
        if scores.shape[1] == 1:  # of two classes there is one score
            scores = np.concatenate([-scores, scores], axis=1)
        whole = np.full((len(scores), len(self.manifest.labels)), -np.inf, np.float32)
        whole[:, self.numbers["classes"]] = scores
        return whole

    def _check(self) -> None:
        if missing := [name for name in _NEEDED if name not in self.numbers]:
            raise ValueError(f"no {' and no '.join(missing)}")
        features = sum(len(one.terms) for one in self.analysers)
        features = 3 * features + 1 if self.manifest.pairs else features
        first = self.numbers.get("components", self.numbers["W"])
        if first.ndim != 2 or first.shape[1] != features:
            raise ValueError(f"weights of shape {first.shape} for {features} features")
        classes = self.numbers.get("classes")
        if classes is not None and not all(0 <= c < len(self.manifest.labels) for c in classes):
            raise ValueError(f"classes {classes.tolist()} for {len(self.manifest.labels)} labels")


class Analyser:
    """Counts the terms of a text and weighs them: one of scikit-learn's vectorizers.

    Attributes:
        settings: What the vectorizer was made with.
        reads: What it reads: a "text", or of a tagged word the "word" or its "window".
        vectorizer: The vectorizer itself.
    """

    def __init__(self, settings: dict[str, Any], reads: str = "text") -> None:
        """Make a vectorizer that is still to be fitted."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.settings, self.reads = settings, reads
        given = {**settings, "ngram_range": tuple(settings["ngram_range"])}
        if reads != "text":
            given["preprocessor"] = _PARTS[reads]
        self.vectorizer = TfidfVectorizer(sublinear_tf=True, **given)

    @property
    def terms(self) -> list[str]:
        """The terms, by feature."""
        return list(self.vectorizer.get_feature_names_out())

    @property
    def idf(self) -> NDArray[np.float64]:
        """The weight of each term."""
        return self.vectorizer.idf_  # type: ignore[no-any-return]


def analyser_of(
    settings: dict[str, Any], reads: str, terms: list[str], idf: NDArray[np.float64]
) -> Analyser:
    """A fitted analyser, from what was saved of it."""
    made = Analyser(settings, reads)
    made.vectorizer.vocabulary = {term: place for place, term in enumerate(terms)}
    made.vectorizer.idf_ = idf
    return made


def design(analysers: Sequence[Analyser], texts: Sequence[str], pairs: Sequence[str] | None) -> Any:
    """The features of texts, sparse [text, feature]; of pairs, both texts' and their products."""
    from scipy import sparse

    def of(some: Sequence[str]) -> Any:
        return sparse.hstack([one.vectorizer.transform(some) for one in analysers]).tocsr()

    first = of(texts)
    if pairs is None:
        return first
    second = of(pairs)
    product = first.multiply(second)
    return sparse.hstack([first, second, product, product.sum(1)]).tocsr()


def windows(words: Sequence[str]) -> list[str]:
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


_PARTS = {"word": _itself, "window": _neighbours}
