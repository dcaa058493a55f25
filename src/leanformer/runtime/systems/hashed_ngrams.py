"""A linear model with int8 weights on hashed n-grams: hundreds of thousands of texts per second.

    logits = sums · scale / norm + b        see `runtime.hashed_ngrams` for sums and norm

    classification, multi-label   logits of the labels; softmax and sigmoid are calibrated
    regression, ranking           a number
    tokens                        logits of each word, from the word and its neighbors

A compiled kernel computes where there is one (`pins["kernel"]` = "c"), else numpy: the answers are
the same to the last bit. Nothing needs torch or scikit-learn. It is fitted by
`leanformer.distill.ngrams.fit_ngrams`.

    <folder>/hashed-ngrams.json          the version of the features, and the bits of a bucket
    <folder>/hashed-ngrams.safetensors   buckets [R], idf [R], weights [R, C], scale [C], b [C],
                                         of pairs also levels [2, 17, C]

Legend: R bucket that was seen in training, C label.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.machine.threads import cores
from leanformer.core.storage.files import new_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.safetensors_file import read_arrays
from leanformer.runtime.hashed_ngrams.kernel import Scores, kernel_name, score
from leanformer.runtime.hashed_ngrams.numbers import Numbers, check_numbers, table_of
from leanformer.runtime.hashed_ngrams.reading import Read, read_texts, read_words
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.system import Cut, Outputs, System, served
from leanformer.tasks import kind_named

_SETTINGS, _NUMBERS = "hashed-ngrams.json", "hashed-ngrams.safetensors"
_FEATURES = 1  # version of the definition of features
_FEW = 4096  # texts that one thread answers faster than several
_AT_ONCE = 2**24  # sums that are held at a time


@served
class HashedNgrams(System):
    """A linear model on hashed n-grams.

    Attributes:
        numbers: "buckets", "idf", "weights", "scale", "b", and of pairs "levels".
        bits: Bits of a bucket.
    """

    name = "hashed-ngrams"

    def __init__(
        self, numbers: Numbers, bits: int, manifest: Manifest, threads: int | None = None
    ) -> None:
        """Put the parts together.

        Raises:
            ValueError: The numbers do not belong to these labels, or to each other.
        """
        about = kind_named(manifest.kind)
        labels = max(1, len(manifest.labels))
        check_numbers(numbers, bits, labels, pairs=manifest.pairs)
        self.numbers, self.bits, self._table = numbers, bits, table_of(numbers, bits)
        self._words = about.reads_words
        self.manifest = replace(manifest, system=self.name, backend="native", precision="int8")
        self.threads = threads or cores()
        self.pins = {"threads": self.threads, "kernel": kernel_name()}

    @classmethod
    def open(
        cls,
        folder: Path,
        manifest: Manifest,
        *,
        threads: int | None,
        concurrency: int = 1,
        rows: int | None = None,
    ) -> "HashedNgrams":
        """See `System.open`; it computes text by text, and many texts with several threads."""
        settings = read_json(folder / _SETTINGS)
        version, bits = settings.get("features"), settings.get("bits", 0)
        if version != _FEATURES:
            raise ValueError(
                f"{folder / _SETTINGS}: features of version {version!r}, and this version of "
                f"leanformer reads {_FEATURES}; update leanformer, or fit it again"
            )
        try:
            return cls(read_arrays(folder / _NUMBERS), bits, manifest, threads)
        except ValueError as error:
            raise ValueError(
                f"{folder / _NUMBERS} or {_SETTINGS} is damaged ({error}); fit it again"
            ) from error

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Manifest:
        """Write a folder that `leanformer.load` opens.

        Raises:
            FileExistsError: `folder` holds something, and `overwrite` is false.
        """
        from safetensors.numpy import save_file

        settings = {"features": _FEATURES, "bits": self.bits}
        whole = {name: np.ascontiguousarray(value) for name, value in self.numbers.items()}
        with new_folder(Path(folder), overwrite=overwrite) as temporary:
            write_text(temporary / _SETTINGS, json.dumps(settings) + "\n")
            save_file(whole, temporary / _NUMBERS)
            return write_manifest(temporary, self.manifest)

    def answer(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> Outputs:
        """See `System.answer`; nothing is cut.

        Of a text the first 32,768 distinct n-grams count.
        """
        if not len(texts):
            return []
        if not self._words:
            return list(self._outputs(read_texts(texts, pairs)))
        rows = self._outputs(read_words(texts))
        return np.split(rows, np.cumsum([len(words) for words in texts])[:-1])

    def _outputs(self, read: Read) -> NDArray[np.float32]:
        """Logits [N, C]."""
        most = max(1, _AT_ONCE // self._table.rows.shape[1])
        if len(read) <= most:
            return self._logits(self._scores(read))
        starts = range(0, len(read), most)
        found = [self._logits(self._scores(read.part(s, min(s + most, len(read))))) for s in starts]
        return np.concatenate(found)

    def _scores(self, read: Read) -> Scores:
        """The kernel's sums; the texts are split among threads where there are many."""
        parts = min(self.threads, 1 + len(read) // _FEW)
        if parts < 2:
            return score(read, self._table)
        edges = [len(read) * part // parts for part in range(parts + 1)]
        pieces = [read.part(*edge) for edge in pairwise(edges)]
        with ThreadPoolExecutor(parts) as pool:
            done = list(pool.map(lambda piece: score(piece, self._table), pieces))
        return Scores(
            np.concatenate([one.sums for one in done]),
            np.concatenate([one.norms for one in done]),
            np.concatenate([one.levels for one in done]),
        )

    def _logits(self, scores: Scores) -> NDArray[np.float32]:
        numbers, width = self.numbers, len(self.numbers["b"])
        norms = np.sqrt(np.maximum(scores.norms, 1).astype(np.float64))
        logits = scores.sums[:, :width] * numbers["scale"] / norms[:, None] + numbers["b"]
        if "levels" in numbers:
            words, characters = scores.levels.T
            logits += numbers["levels"][0, words] + numbers["levels"][1, characters]
        return logits.astype(np.float32)
