"""Rerankers: a cross-encoder reads a question and a passage together, and scores the pair.

    score(q, d) = sigmoid(z(q, d))

It sees which words of the question a passage answers, which two vectors made apart from each other
cannot say, and costs a pass through the model per pair. So it orders again only the first few
passages that BM25 and a bi-encoder found.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leanformer.core.storage.files import recover_folder
from leanformer.runtime.manifest import NAME
from leanformer.runtime.serving.predictor import Predictor, load


class Reranker:
    """A cross-encoder that is open; any number of threads may use it at a time.

    Attributes:
        predictor: What answers pairs of texts by their raw scores.
    """

    def __init__(self, predictor: Predictor) -> None:
        """Wrap a predictor of the ranking task."""
        self.predictor = predictor

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float64]:
        """How well each passage answers the question, between 0 and 1 [N].

        Args:
            question: The question.
            passages: The passages; pairs that are too long for the model are cut.

        Raises:
            ValueError: The question or a passage is empty or not a string.
        """
        if not passages:
            return np.zeros(0)
        rows = self.predictor.answer([question] * len(passages), passages)
        logits = np.array([row.reshape(-1)[0] for row in rows], np.float64)
        return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


def open_reranker(folder: str | Path, *, threads: int | None = None) -> Reranker:
    """Open a cross-encoder.

    Args:
        folder: A folder that leanformer exported for ranking, or a folder or hub name of a
            cross-encoder of sentence-transformers: a classifier with one label.
        threads: Threads that compute one call; None = all cores.

    Raises:
        OSError: There is no such folder.
        ValueError: The folder is damaged, or its model does not score pairs of texts.
    """
    place = Path(folder).expanduser()
    recover_folder(place)
    if not (place / NAME).is_file():
        return Reranker(_open_model(folder, threads))
    predictor = load(place, threads=threads)
    if predictor.manifest.kind != "ranking":
        raise ValueError(
            f"{folder} holds a model for {predictor.manifest.kind}; a reranker is a cross-encoder "
            "that was trained for ranking (task = ranking)"
        )
    return Reranker(predictor)


def _open_model(source: str | Path, threads: int | None) -> Predictor:
    """A cross-encoder's folder, in PyTorch."""
    from leanformer.core.machine.threads import check_threads
    from leanformer.retrieve.embed.in_pytorch import predictor_in_pytorch
    from leanformer.retrieve.training.cross_encoder import open_cross_encoder

    check_threads(threads)
    model, tokenizer = open_cross_encoder(source)
    return predictor_in_pytorch(model, tokenizer, "ranking", pairs=True, threads=threads)
