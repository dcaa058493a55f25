"""Texts in, answers out: the few lines that a user writes.

    predictor = leanformer.load("student")
    predictor.predict(["where is my card?"])      # [Prediction(label="card_arrival", score=0.98)]

Texts are read, sorted by length, covered by batches of few shapes, run, and answered in the
caller's order. A predictor has no state that calls share: any number of threads may use one at a
time. In a forked process and through a pickle it opens its folder again.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.answers import Outputs, Unanswered
from leanformer.runtime.batching import (
    MAX_TOKENS,
    Batch,
    Padding,
    padding,
    plan_batches,
    restore,
    stack,
)
from leanformer.runtime.manifest import Manifest, read_manifest
from leanformer.runtime.opening import open_session
from leanformer.runtime.session import Backend, Precision, Session, concurrency_of, feed
from leanformer.runtime.tokenizer import open_tokenizer
from leanformer.tasks import kind_named
from leanformer.text import Reader, Reading, check_pairs, split_words, word_tags
from leanformer.text.texts import check_sentences, sort_out

_log = logging.getLogger(__name__)
_MANY = 64  # texts from which a thread pool pays off in tokenization


def load(
    folder: str | Path,
    backend: Backend | None = None,
    threads: int | None = None,
    *,
    precision: Precision | None = None,
    concurrency: int | None = None,
) -> "Predictor":
    """Open a folder that leanformer exported.

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
    manifest = read_manifest(folder)
    threads, concurrency = concurrency_of(threads, concurrency)
    session = open_session(folder, backend, precision, threads, concurrency)
    predictor = Predictor(session, open_tokenizer(folder, manifest), manifest)
    predictor._again = partial(
        load,
        folder.resolve(),
        session.backend,
        threads,
        precision=session.precision,
        concurrency=concurrency,
    )
    return predictor


class Predictor:
    """A session with its reader and its labels.

    Attributes:
        session: The opened backend.
        reader: How it reads texts.
        manifest: The description of its folder.
        about: Its task.
        max_tokens: Padded tokens per batch, at most.
        plan: Function from the number of tokens of each text to batches.
    """

    def __init__(
        self,
        session: Session,
        reader: Reader,
        manifest: Manifest,
        *,
        max_tokens: int = MAX_TOKENS,
        plan: Callable[[list[int]], list[Batch]] | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            session: The opened backend.
            reader: How texts are read.
            manifest: The description of its folder.
            max_tokens: Padded tokens per batch, at most.
            plan: Function from the number of tokens of each text to batches; None = batches of few
                shapes at the least cost (`plan_batches`).
        """
        self.session, self.reader, self.manifest = session, reader, manifest
        self.about = kind_named(manifest.kind)
        self.max_tokens, self.plan = max_tokens, plan or self._few_shapes
        self._again: Callable[[], Predictor] | None = None
        self._warned = False

    def predict(
        self,
        texts: Iterable[str],
        pairs: Iterable[str] | None = None,
        *,
        truncate: bool = True,
        errors: Literal["raise", "return"] = "raise",
    ) -> list[Any]:
        """One answer per text, in order.

        Args:
            texts: The texts, in any ordered iterable; none give no answers.
            pairs: The second texts of a model that compares two.
            truncate: Cut texts longer than the model reads; False refuses them.
            errors: "return" answers a text that cannot be read with `Unanswered` in its place.

        Returns:
            classification: `Prediction`s; multi-label: lists of them, the likeliest first;
            regression and ranking: floats; tokens: lists of `Span`s.

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
            return self._answer_each(texts, pairs, truncate)
        first, second = check_pairs(texts, pairs)
        readings = self._read(first, second)
        self._check(readings, truncate)
        return self._answers(first, readings)

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
        """The raw output of each text: logits [label] or [token, label], or an embedding [width].

        Raises:
            ValueError: As `predict`.
        """
        readings = self._read(*check_pairs(texts, pairs))
        self._check(readings, truncate)
        return self._run(readings)

    def label_words(self, sentences: Iterable[Sequence[str]]) -> list[list[str]]:
        """One label per word, of sentences that are already split into words; "O" past the cut.

        Raises:
            ValueError: A sentence is a string or holds something that is not a word, or the model
                does not label words.
        """
        if not self.about.reads_words:
            raise ValueError(f"this model does {self.manifest.kind}: call predict(texts)")
        rows = check_sentences(sentences)
        readings = self.reader.read_words(rows, parallel=self._parallel(rows))
        labels = self.manifest.labels
        found = zip(readings, self._run(readings), strict=True)
        return [word_tags(row, reading.firsts, labels) for reading, row in found]

    def padding(self, texts: Iterable[str], pairs: Iterable[str] | None = None) -> Padding:
        """Real and padded tokens of a call with these texts."""
        readings = self._read(*check_pairs(texts, pairs))
        lengths = [len(reading.ids) for reading in readings]
        return padding(lengths, self.plan(lengths))

    def _read(self, texts: list[str], pairs: list[str] | None) -> list[Reading]:
        """Texts as the model reads them; of a model that labels words, their words."""
        if self.manifest.pairs and pairs is None:
            raise ValueError("pairs: this model compares two texts; give the second ones")
        if pairs is not None and not self.manifest.pairs:
            raise ValueError("pairs: this model reads single texts; leave the second ones out")
        parallel = self._parallel(texts)
        if self.about.reads_words:
            words = [[text[start:end] for start, end in split_words(text)] for text in texts]
            return self.reader.read_words(words, parallel=parallel)
        return self.reader.read(texts, pairs, parallel=parallel)

    def _answer_each(
        self, texts: Iterable[str], pairs: Iterable[str] | None, truncate: bool
    ) -> list[Any]:
        """Answers, and the reason in the place of each text that has none."""
        first, second, reasons = sort_out(texts, pairs)
        places = [index for index, reason in enumerate(reasons) if not reason]
        readings = self._read(first, second)
        long = [reading.cut and not truncate for reading in readings]
        for place in [place for place, too in zip(places, long, strict=True) if too]:
            reasons[place] = self._too_long(place)
        fit = [index for index, too in enumerate(long) if not too]
        read = [readings[index] for index in fit]
        self._check(read, truncate)
        answers = iter(self._answers([first[index] for index in fit], read))
        return [Unanswered(reason) if reason else next(answers) for reason in reasons]

    def _check(self, readings: list[Reading], truncate: bool) -> None:
        """Refuse long texts, or say once that they are cut."""
        cut = [index for index, reading in enumerate(readings) if reading.cut]
        if cut and not truncate:
            raise ValueError(self._too_long(cut[0]))
        if cut and not self._warned:
            self._warned = True
            _log.warning(
                "%d of %d texts cut to %d tokens (said once)",
                len(cut),
                len(readings),
                self.reader.max_length,
            )

    def _too_long(self, index: int) -> str:
        return (
            f"texts[{index}] is longer than the {self.reader.max_length} tokens that the model "
            "reads; shorten it or pass truncate=True"
        )

    def _answers(self, texts: list[str], readings: list[Reading]) -> list[Any]:
        return self.about.serve(
            self._run(readings), self.manifest.labels, texts, readings, self.manifest.thresholds
        )

    def _parallel(self, texts: Sequence[Any]) -> bool:
        return self.session.threads > 1 and len(texts) >= _MANY

    def _few_shapes(self, lengths: list[int]) -> list[Batch]:
        return plan_batches(
            lengths,
            self.reader.max_length,
            threads=self.session.threads,
            max_tokens=self.max_tokens,
        )

    def _run(self, readings: Sequence[Reading]) -> Outputs:
        lengths = [len(reading.ids) for reading in readings]
        batches = self.plan(lengths)
        pad = self.reader.pad_id
        results = [feed(self.session, stack(readings, batch, pad)) for batch in batches]
        rows = restore(batches, results)
        if self.about.per_token:
            return [row[:length] for row, length in zip(rows, lengths, strict=True)]
        return rows

    def __reduce__(self) -> Any:
        if self._again is None:
            raise TypeError(
                "this predictor was put together from parts; only one that leanformer.load opened "
                "can be pickled, because it is opened again"
            )
        return self._again, ()
