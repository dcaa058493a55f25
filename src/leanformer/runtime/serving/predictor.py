"""Texts in, answers out: the few lines that a user writes.

    predictor = leanformer.load("student")
    predictor.predict(["where is my card?"])      # [Prediction(label="card_arrival", score=0.98)]

A predictor checks texts, hands them to the system that the folder holds, and turns raw outputs into
answers, in the caller's order. It has no state that calls share: any number of threads may use one
at a time. In a forked process and through a pickle it opens its folder again.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.manifest import Manifest
from leanformer.runtime.prepared import Prepared
from leanformer.runtime.serving.answers import Sourced, Unanswered, readings_of
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.session import Precision, concurrency_of
from leanformer.runtime.system import Outputs, System
from leanformer.tasks import kind_named
from leanformer.text import check_pairs, split_words, word_tags
from leanformer.text.texts import check_sentences, sort_out

_log = logging.getLogger(__name__)


def load(
    folder: str | Path,
    backend: str | None = None,
    threads: int | None = None,
    *,
    precision: Precision | None = None,
    concurrency: int | None = None,
) -> "Predictor":
    """Open a folder that leanformer exported, whatever kind of system it holds.

    Args:
        folder: The folder.
        backend: The winner of the race when it was exported, unless named.
        threads: Threads that compute one call; as many as there are cores, unless given. A server
            answers the most requests per second with one.
        precision: As recorded, unless named.
        concurrency: Calls that are computed at a time; by default as many as the cores have room
            for, at most four. In OpenVINO further calls wait for their turn.

    Raises:
        FileNotFoundError: The folder was not exported by leanformer.
        ValueError: A file is damaged, or the folder does not hold that backend.
        ImportError: The backend is not installed; the message names the command.
    """
    folder = Path(folder)
    threads, concurrency = concurrency_of(threads, concurrency)
    system = open_system(folder, backend, precision, threads, concurrency)
    predictor = Predictor(system)
    predictor._again = partial(
        load,
        folder.resolve(),
        system.manifest.backend,
        threads,
        precision=system.manifest.precision,
        concurrency=concurrency,
    )
    return predictor


class Predictor:
    """A system that answers in the words of its task.

    Attributes:
        system: What answers: see `leanformer.runtime.system.System`.
        about: Its task.
    """

    def __init__(self, system: System) -> None:
        """Wrap an open system."""
        self.system, self.about = system, kind_named(system.manifest.kind)
        self._again: Callable[[], Predictor] | None = None
        self._warned = False

    @property
    def manifest(self) -> Manifest:
        """The description of the folder, with the backend and precision that were opened."""
        return self.system.manifest

    def predict(
        self,
        texts: Iterable[str],
        pairs: Iterable[str] | None = None,
        *,
        truncate: bool = True,
        errors: Literal["raise", "return"] = "raise",
        sources: bool = False,
    ) -> list[Any]:
        """One answer per text, in order.

        Args:
            texts: The texts, in any ordered iterable; none give no answers.
            pairs: The second texts of a model that compares two.
            truncate: Cut texts longer than the model reads; False refuses them.
            errors: "return" answers a text that cannot be read with `Unanswered` in its place.
            sources: Give each answer as `Sourced(answer, source)`: with the name of the part of a
                cascade that gave it, or with the kind of a system that has no parts.

        Returns:
            classification: `Prediction`s; multi-label: lists of them, the likeliest first;
            regression and ranking: floats; tokens: lists of `Span`s; causal-lm: `Perplexity`s.

        Raises:
            ValueError: A text is not a string, is empty or (without `truncate`) too long, and its
                index is named; pairs do not match, are missing or are not read; or the model
                makes embeddings.
        """
        if self.about.output == "vector":
            raise ValueError("this model makes embeddings: call encode(texts)")
        if errors not in ("raise", "return"):
            raise ValueError(f"errors: {errors!r} is not one of raise, return")
        if errors == "return":
            return self._answer_each(texts, pairs, truncate, sources)
        first, second = check_pairs(texts, pairs)
        return self._answers(first, second, truncate, sources)

    def encode(self, texts: Iterable[str], *, truncate: bool = True) -> NDArray[np.float32]:
        """One vector per text [text, width], in order, pooled as the model says.

        Vectors have length one if the model normalizes them, as most do (`modules.json` in the
        folder says so). sentence-transformers computes the same vectors from the folder.

        Raises:
            ValueError: As `predict`; or the model was not exported for embeddings.
        """
        if self.about.output != "vector":
            raise ValueError(f"this model does {self.manifest.kind}: call predict(texts)")
        rows = self.answer(texts, truncate=truncate)
        return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)

    def answer(
        self, texts: Iterable[str], pairs: Iterable[str] | None = None, *, truncate: bool = True
    ) -> Outputs:
        """The raw output of each text: logits [label] or [word, label], or an embedding [width].

        The words are those that `leanformer.text.split_words` finds; one that was cut off has -inf
        in every column.

        Raises:
            ValueError: As `predict`.
        """
        return self._run(*check_pairs(texts, pairs), truncate)[0]

    def label_words(self, sentences: Iterable[Sequence[str]]) -> list[list[str]]:
        """One label per word, of sentences that are already split into words; "O" past the cut.

        Raises:
            ValueError: A sentence is a string or holds something that is not a word, or the model
                does not label words.
        """
        if not self.about.reads_words:
            raise ValueError(f"this model does {self.manifest.kind}: call predict(texts)")
        rows = self.system.answer(check_sentences(sentences))
        both = zip(rows, readings_of(rows), strict=True)
        return [word_tags(row, reading.firsts, self.manifest.labels) for row, reading in both]

    def lengths(
        self, texts: Iterable[str], pairs: Iterable[str] | None = None, *, truncate: bool = True
    ) -> list[int]:
        """How much is read of each text, or of both of a pair: tokens, special ones included; of a
        system without a tokenizer, words.

        Nothing is computed.

        Raises:
            ValueError: As `predict`.
        """
        return [one.length for one in self.prepare(texts, pairs, truncate=truncate)]

    def prepare(
        self, texts: Iterable[str], pairs: Iterable[str] | None = None, *, truncate: bool = True
    ) -> list[Prepared]:
        """Read each text, or both of a pair, for `answer_prepared`; nothing is computed.

        A server refuses what cannot be read before it queues the rest by length.

        Raises:
            ValueError: As `predict`.
        """
        first, second = check_pairs(texts, pairs)
        self._check_pairs(second)
        refuse = None if truncate else partial(self._told_of_cut, truncate, len(first))
        return self.system.prepare(self._given(first), second, on_cut=refuse)

    def answer_prepared(
        self, texts: Sequence[str], prepared: Sequence[Prepared], *, sources: bool = False
    ) -> list[Any]:
        """What `predict`, or for embeddings `encode`, gives for texts that `prepare` has read.

        Args:
            texts: The texts, of any calls of `prepare`.
            prepared: What was made of each.
            sources: See `predict`; a vector has none.
        """
        on_cut = partial(self._told_of_cut, True, len(texts))
        rows, given_by = self.system.answer_prepared(prepared, on_cut=on_cut)
        if self.about.output == "vector":
            return list(rows)
        return self._said(list(texts), rows, given_by, sources)

    def sources(
        self, texts: Iterable[str], pairs: Iterable[str] | None = None, *, truncate: bool = True
    ) -> list[str]:
        """The name of the part of the system that answers each text, in order.

        Raises:
            ValueError: As `predict`.
        """
        return self._run(*check_pairs(texts, pairs), truncate)[1]

    def _answer_each(
        self, texts: Iterable[str], pairs: Iterable[str] | None, truncate: bool, sources: bool
    ) -> list[Any]:
        """Answers, and the reason in the place of each text that has none."""
        first, second, reasons = sort_out(texts, pairs)
        while True:
            places = [index for index, reason in enumerate(reasons) if not reason]
            try:
                answers = self._answers(first, second, truncate, sources)
                break
            except _TooLong as long:  # parts of a cascade refuse one after the other
                for index in long.indices:
                    reasons[places[index]] = self._too_long(places[index])
                fit = [index for index in range(len(first)) if index not in long.indices]
                first = [first[index] for index in fit]
                second = None if second is None else [second[index] for index in fit]
        rest = iter(answers)
        return [Unanswered(reason) if reason else next(rest) for reason in reasons]

    def _run(
        self, texts: list[str], pairs: list[str] | None, truncate: bool
    ) -> tuple[Outputs, list[str]]:
        """Raw outputs of texts that are already checked, and which part gave each."""
        self._check_pairs(pairs)
        on_cut = partial(self._told_of_cut, truncate, len(texts))
        return self.system.answer_with_sources(self._given(texts), pairs, on_cut=on_cut)

    def _check_pairs(self, pairs: list[str] | None) -> None:
        if self.manifest.pairs and pairs is None:
            raise ValueError("pairs: this model compares two texts; give the second ones")
        if pairs is not None and not self.manifest.pairs:
            raise ValueError("pairs: this model reads single texts; leave the second ones out")

    def _given(self, texts: list[str]) -> list[Any]:
        """Texts as the system takes them: split into words where these are labelled."""
        if not self.about.reads_words:
            return list(texts)
        return [[text[start:end] for start, end in split_words(text)] for text in texts]

    def _told_of_cut(self, truncate: bool, count: int, indices: list[int]) -> None:
        """Refuse texts that are longer than is read, or warn of them once."""
        if not truncate:
            raise _TooLong(self._too_long(indices[0]), set(indices))
        if not self._warned:
            self._warned = True
            most = self.system.max_length
            _log.warning("%d of %d texts cut to %d tokens (said once)", len(indices), count, most)

    def _too_long(self, index: int) -> str:
        return (
            f"texts[{index}] is longer than the {self.system.max_length} tokens that the model "
            "reads; shorten it or pass truncate=True"
        )

    def _answers(
        self, texts: list[str], pairs: list[str] | None, truncate: bool, sources: bool
    ) -> list[Any]:
        """What a user gets for texts that are already checked."""
        return self._said(texts, *self._run(texts, pairs, truncate), sources)

    def _said(
        self, texts: list[str], rows: Outputs, given_by: list[str], sources: bool
    ) -> list[Any]:
        """Raw outputs in the words of the task."""
        readings = []
        if self.about.reads_words:
            readings = readings_of(rows)
            # any finite numbers will do for a word that was not read
            rows = [np.where(np.isfinite(row).any(-1, keepdims=True), row, 0) for row in rows]
        answers = self.about.serve(
            rows, self.manifest.labels, texts, readings, self.manifest.thresholds
        )
        return list(map(Sourced, answers, given_by)) if sources else answers

    def __reduce__(self) -> Any:
        if self._again is None:
            raise TypeError(
                "this predictor was put together from parts; only one that leanformer.load opened "
                "can be pickled, because it is opened again"
            )
        return self._again, ()


class _TooLong(ValueError):
    """Some texts are longer than is read."""

    def __init__(self, message: str, indices: set[int]) -> None:
        super().__init__(message)
        self.indices = indices
