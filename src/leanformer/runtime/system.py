"""A served system: texts in, raw outputs out, by one verb.

    system.answer(["where is my card?"])        # [array([0.1, 4.2, -1.3])], one output per text

A transformer with its tokenizer is one kind of system, n-grams with a linear model are another. A
folder's manifest names its kind; race, measures, search and predictor know nothing but this class.
A kind joins as one file in `systems/`, whose class opens what it wrote:

    @served
    class FirstLetter(System):
        name = "first-letter"

Nothing here needs torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from leanformer.core.registry import Registry
from leanformer.runtime.manifest import NAME, Manifest
from leanformer.runtime.prepared import Prepared, unpacked
from leanformer.runtime.session import Precision
from leanformer.text import split_words

Outputs = list[NDArray[np.float32]]
Cut = Callable[[list[int]], None]


class System(ABC):
    """Something that answers texts, from any number of threads.

    Attributes:
        name: How manifests call this kind of system.
        manifest: What it does: task, labels, whether it reads pairs, backend and precision.
        threads: Threads that compute one call.
        concurrency: Calls that are computed at a time.
        pins: What was pinned when it was opened, for reports.
        max_length: Tokens that are read of a text; None = all of it.
        sources: Names of the parts of which each answers some of the texts; () where there is one.
    """

    name: ClassVar[str]
    manifest: Manifest
    threads: int = 1
    concurrency: int = 1
    max_length: int | None = None
    sources: tuple[str, ...] = ()
    pins: dict[str, Any]

    @classmethod
    @abstractmethod
    def open(
        cls,
        folder: Path,
        manifest: Manifest,
        *,
        threads: int | None,
        concurrency: int = 1,
        rows: int | None = None,
    ) -> "System":
        """What `folder` holds, ready to answer.

        Args:
            folder: A folder whose files are already checked.
            manifest: Its description, with the backend and the precision to open.
            threads: Threads that compute one call; None = all cores.
            concurrency: Calls that are computed at a time.
            rows: Answer in batches of so many texts in the caller's order, as most users run a
                model; None = in the system's own batches. One without batches ignores it.
        """

    @abstractmethod
    def answer(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> Outputs:
        """The raw output of each text, in order.

        Args:
            texts: Texts that are already checked; where words are labelled ("tokens"), each is a
                list of words.
            pairs: Their second texts, where the system reads pairs.
            on_cut: Called with the indices of the texts that are longer than is read, before they
                are computed; it may raise. A system with parts calls it for each part.

        Returns:
            Logits [label], a score [1] or a vector [width]; for "tokens" logits [word, label], with
            -inf in every column of a word that was not read.
        """

    def answer_with_sources(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> tuple[Outputs, list[str]]:
        """As `answer`, and for each text the name of what answered it: one of `sources`, or the
        kind of system where it has no parts."""
        return self.answer(texts, pairs, on_cut=on_cut), [self.name] * len(texts)

    @classmethod
    def choose(
        cls, manifest: Manifest, backend: str | None, precision: Precision | None
    ) -> tuple[str, Precision]:
        """What is opened when only a part was named.

        Raises:
            ValueError: The folder does not hold that.
        """
        chosen = backend or manifest.backend, precision or manifest.precision
        held = manifest.backend, manifest.precision
        if chosen != held:
            raise ValueError(f"holds no {' '.join(chosen)} model; it has {' '.join(held)}")
        return held

    @classmethod
    def files(cls, manifest: Manifest) -> list[str]:
        """Names of the files that `manifest.backend` needs to answer; by default, all."""
        return [name for name in manifest.files if name != NAME]

    @classmethod
    def candidates(cls, manifest: Manifest) -> list[tuple[str, Precision]]:
        """Backends and precisions that the folder can be opened in, for the race."""
        return [(manifest.backend, manifest.precision)]

    @classmethod
    def reference(cls, manifest: Manifest) -> tuple[str, Precision]:
        """The candidate that the answers of the others are compared with."""
        return manifest.backend, manifest.precision

    @classmethod
    def depends_on_batch(cls, folder: Path, manifest: Manifest) -> bool:
        """Whether an answer changes with the other texts of its batch, by its very making."""
        return False

    def length(self, text: str) -> int:
        """How long a text is, in the unit that this system reads: tokens, or by default words."""
        return len(split_words(text))

    def prepare(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> list[Prepared]:
        """Read each text, or both texts of a pair; nothing is computed.

        A server fills its batches by their lengths: tokens, or by default words. Arguments are
        those of `answer`.
        """
        seconds = [None] * len(texts) if pairs is None else pairs
        return [
            Prepared(text, pair, _words(text) + (0 if pair is None else _words(pair)))
            for text, pair in zip(texts, seconds, strict=True)
        ]

    def answer_prepared(
        self, prepared: Sequence[Prepared], *, on_cut: Cut | None = None
    ) -> tuple[Outputs, list[str]]:
        """As `answer_with_sources`, of texts that `prepare` has read, of any calls."""
        return self.answer_with_sources(*unpacked(prepared), on_cut=on_cut)

    def try_out(self) -> float:
        """Answer once what may crash or go wrong, before anybody is served.

        Returns:
            The largest change of an output through the other texts of a batch, as a share of the
            largest output; 0 where texts are answered one by one.

        Raises:
            ValueError: An answer is not finite, or answers are missing.
        """
        return 0.0


def _words(text: Any) -> int:
    return len(text if isinstance(text, list) else split_words(text))


_REGISTRY = Registry[type[System]]("system")


def served(cls: type[System]) -> type[System]:
    """Make a kind of system known by its name, so that folders of it open."""
    _REGISTRY.add(cls, cls)
    return cls


def find_system(name: str) -> type[System]:
    """The kind of system called `name`.

    Raises:
        ValueError: There is none; the message has the nearest name and the list.
    """
    return _REGISTRY.find(name)
