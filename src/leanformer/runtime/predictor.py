"""Texts in, answers out: the few lines that a user writes.

    predictor = leanformer.load("student")
    predictor.predict(["where is my card?"])      # [Prediction(label="card_arrival", score=0.98)]

Texts are tokenized, sorted by length, packed to a budget of tokens, run, and answered in the
caller's order. `predictor.padding` says what the batching cost.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leanformer.runtime.batching import Padding, padding, restore, stack, token_budget
from leanformer.runtime.manifest import Manifest, read_manifest
from leanformer.runtime.opening import open_session
from leanformer.runtime.session import Backend, Precision, Session, feed
from leanformer.runtime.spans import Span, spans_of
from leanformer.runtime.tokenizer import open_tokenizer
from leanformer.runtime.tokenizing import check_texts, tokenize

_WORD = re.compile(r"\w+(?:['’.-]\w+)*|[^\w\s]")


@dataclass(frozen=True)
class Prediction:
    """A label and its probability."""

    label: str
    score: float


def load(
    folder: str | Path,
    backend: Backend | None = None,
    threads: int | None = None,
    *,
    precision: Precision | None = None,
) -> "Predictor":
    """Open a folder that leanformer exported.

    Args:
        folder: The folder.
        backend: The winner of the race when it was exported, unless named.
        threads: As many as there are cores, unless given.
        precision: As recorded, unless named.

    Raises:
        FileNotFoundError: The folder was not exported by leanformer.
        ValueError: A file is damaged, or the folder does not hold that backend.
        ImportError: The backend is not installed; the message names the command.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    session = open_session(folder, backend, precision, threads)
    return Predictor(session, open_tokenizer(folder), manifest)


class Predictor:
    """A session with its tokenizer and its labels.

    Attributes:
        session: The opened backend.
        padding: Real and padded tokens of the last call.
    """

    def __init__(
        self, session: Session, tokenizer: Any, manifest: Manifest, *, max_tokens: int = 2048
    ) -> None:
        """Put the parts together; `max_tokens` is the most padded tokens of a batch."""
        self.session, self.tokenizer, self.manifest = session, tokenizer, manifest
        self.max_tokens = max_tokens
        self.padding = Padding(0, 0)

    def outputs(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, truncate: bool = True
    ) -> list[np.ndarray]:
        """The raw output of each text: logits [label] or [token, label], or an embedding [width].

        Raises:
            ValueError: A text is empty or no string, the pairs do not match, or (without
                `truncate`) a text is longer than the model reads.
        """
        check_texts(texts)
        if pairs is not None:
            check_texts(pairs, "pairs")
            if len(pairs) != len(texts):
                raise ValueError(f"pairs: {len(pairs)} for {len(texts)} texts; give as many")
        if self.manifest.pairs and pairs is None:
            raise ValueError("pairs: this model compares two texts; give the second ones")
        self.padding = Padding(0, 0)
        if not texts:
            return []
        limit = self.manifest.max_length
        encoded = tokenize(self.tokenizer, texts, pairs, max_length=limit, truncate=truncate)
        lengths = [len(ids) for ids in encoded["input_ids"]]
        batches = token_budget(lengths, self.max_tokens)
        self.padding = padding(lengths, batches)
        pad = self.tokenizer.pad_token_id or 0
        results = [feed(self.session, stack(encoded, batch, pad)) for batch in batches]
        rows = restore(batches, results)
        if self.manifest.kind == "tokens":
            return [row[:length] for row, length in zip(rows, lengths, strict=True)]
        return rows

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, truncate: bool = True
    ) -> list[Any]:
        """An answer a text, in order.

        Args:
            texts: The texts; an empty list gives an empty list.
            pairs: The second texts of a model that compares two.
            truncate: Cut texts longer than the model reads, with a logged warning; False refuses
                them and names the first.

        Returns:
            classification: `Prediction`s; regression: floats; tokens: lists of `Span`s.

        Raises:
            ValueError: As `outputs`; or the model makes embeddings.
        """
        kind = self.manifest.kind
        if kind == "embedding":
            raise ValueError("this model makes embeddings: call encode(texts)")
        rows = self.outputs(texts, pairs, truncate=truncate)
        if kind == "regression":
            return [float(row[0]) for row in rows]
        if kind == "tokens":
            return [self._spans(text, row) for text, row in zip(texts, rows, strict=True)]
        return [self._prediction(row) for row in rows]

    def encode(self, texts: Sequence[str], *, truncate: bool = True) -> np.ndarray:
        """Unit-length embeddings [text, width], in order.

        Raises:
            ValueError: As `outputs`; or the model was not exported for embeddings.
        """
        if self.manifest.kind != "embedding":
            raise ValueError(f"this model does {self.manifest.kind}: call predict(texts)")
        rows = self.outputs(texts, truncate=truncate)
        return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)

    def _prediction(self, logits_L: np.ndarray) -> Prediction:
        share_L = softmax(logits_L)
        best = int(share_L.argmax())
        return Prediction(self.manifest.labels[best], float(share_L[best]))

    def label_words(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """One label a word, of sentences that are already cut into words; "O" past the cut."""
        texts = [" ".join(words) for words in sentences]
        rows = self.outputs(texts)
        labelled = []
        for words, text, row in zip(sentences, texts, rows, strict=True):
            ends = np.cumsum([len(word) + 1 for word in words]).tolist()
            starts = [end - len(word) - 1 for end, word in zip(ends, words, strict=True)]
            labels = {start: label for start, label, _ in self._word_labels(text, row, starts)}
            labelled.append([labels.get(start, "O") for start in starts])
        return labelled

    def _spans(self, text: str, logits_TL: np.ndarray) -> list[Span]:
        words = {match.start(): match.end() for match in _WORD.finditer(text)}
        found = self._word_labels(text, logits_TL, list(words))
        offsets = [(start, words[start]) for start, _, _ in found]
        return spans_of(text, [f[1] for f in found], [f[2] for f in found], offsets)

    def _word_labels(
        self, text: str, logits_TL: np.ndarray, starts: list[int]
    ) -> list[tuple[int, str, float]]:
        """Start, label and score of each word; a word takes the label of its first token."""
        limit = self.manifest.max_length
        encoded = self.tokenizer(text, truncation=True, max_length=limit)
        share_TL = softmax(logits_TL)
        firsts = {start: encoded.char_to_token(start) for start in starts}
        return [
            (
                start,
                self.manifest.labels[int(share_TL[token].argmax())],
                float(share_TL[token].max()),
            )
            for start, token in firsts.items()
            if token is not None
        ]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Shares along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
