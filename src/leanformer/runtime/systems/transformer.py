"""A transformer with its tokenizer: texts are read as tokens and answered in batches.

Texts are sorted by length and covered by batches of few shapes (`batching`), since a runtime keeps
kernels for the shapes that it has seen, and padding costs what text costs.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from leanformer.core.machine.processor import exact_with, multiplies_int8_exactly
from leanformer.core.machine.threads import cores
from leanformer.core.storage.json_file import read_json
from leanformer.runtime.backends import find_backend
from leanformer.runtime.batching import (
    MAX_TOKENS,
    Batch,
    Padding,
    batches_in_order,
    padding,
    plan_batches,
    restore,
    stack,
)
from leanformer.runtime.manifest import Manifest, candidates_of
from leanformer.runtime.prepared import Prepared
from leanformer.runtime.session import Precision, Session, feed
from leanformer.runtime.system import Cut, Outputs, System, served
from leanformer.runtime.tokenizer import open_tokenizer
from leanformer.runtime.uneven import run_uneven
from leanformer.tasks import kind_named
from leanformer.text import Reader, Reading

_log = logging.getLogger(__name__)
_MANY = 64  # texts from which a thread pool pays off in tokenization


@served
class Transformer(System):
    """A session with its reader.

    Attributes:
        session: The opened backend.
        reader: How it reads texts.
        about: Its task.
        max_tokens: Padded tokens per batch, at most.
        plan: Function from the number of tokens of each text to batches.
    """

    name = "transformer"

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
        self.threads, self.concurrency = session.threads, session.concurrency
        self.pins, self.max_length = session.pins, reader.max_length
        self._folder: Path | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        manifest: Manifest,
        *,
        threads: int | None,
        concurrency: int = 1,
        rows: int | None = None,
    ) -> "Transformer":
        """See `System.open`."""
        session = open_graph(folder, manifest, threads=threads, concurrency=concurrency)
        plan = None if rows is None else partial(batches_in_order, rows=rows)
        system = cls(session, open_tokenizer(folder, manifest), manifest, plan=plan)
        system._folder = folder
        return system

    def answer(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> Outputs:
        """See `System.answer`."""
        return self._run(_told(self._read(texts, pairs), on_cut))

    @classmethod
    def choose(
        cls, manifest: Manifest, backend: str | None, precision: Precision | None
    ) -> tuple[str, Precision]:
        """See `System.choose`; of a named backend, the first precision that the folder holds."""
        asked = find_backend(backend or manifest.backend)
        if precision is None:
            named = manifest.precision if asked.name == manifest.backend else None
            held = [own for name, own in candidates_of(manifest) if name == asked.name]
            precision = named or next(iter(held), "fp32")
        runs = asked.precisions
        if precision not in runs:
            raise ValueError(
                f"precision: {asked.title} runs {' or '.join(sorted(runs))} here, not {precision!r}"
            )
        if asked.graph_file(precision, manifest.format) not in manifest.files:
            raise ValueError(f"holds no {asked.name} {precision} model; it has {_held(manifest)}")
        return asked.name, precision

    @classmethod
    def files(cls, manifest: Manifest) -> list[str]:
        """See `System.files`: the graph and its weights, the tokenizer, the JSON files."""
        names = list(manifest.files)
        backend = find_backend(manifest.backend)
        graph = backend.files(names, manifest.precision, manifest.format)
        return [n for n in names if n in graph or ("/" not in n and not n.endswith(".safetensors"))]

    @classmethod
    def candidates(cls, manifest: Manifest) -> list[tuple[str, Precision]]:
        """See `System.candidates`."""
        return candidates_of(manifest)

    @classmethod
    def reference(cls, manifest: Manifest) -> tuple[str, Precision]:
        """PyTorch in fp32: the weights as they were trained."""
        return "pytorch", "fp32"

    @classmethod
    def depends_on_batch(cls, folder: Path, manifest: Manifest) -> bool:
        """See `System.depends_on_batch`."""
        backend = find_backend(manifest.backend)
        graph = backend.graph_file(manifest.precision, manifest.format)
        return backend.depends_on_batch(folder / graph)

    def length(self, text: str) -> int:
        """Tokens of a text, special ones included."""
        return len(self.reader(text).ids)

    def prepare(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> list[Prepared]:
        """See `System.prepare`: tokens, special ones included, at most `max_length`."""
        readings = _told(self._read(texts, pairs), on_cut)
        seconds = [None] * len(texts) if pairs is None else pairs
        return [
            Prepared(text, pair, len(reading.ids), reading)
            for text, pair, reading in zip(texts, seconds, readings, strict=True)
        ]

    def answer_prepared(
        self, prepared: Sequence[Prepared], *, on_cut: Cut | None = None
    ) -> tuple[Outputs, list[str]]:
        """See `System.answer_prepared`; nothing is tokenized again."""
        readings = [one.reading for one in prepared if one.reading is not None]
        assert len(readings) == len(prepared), "prepared by another system"
        return self._run(_told(readings, on_cut)), [self.name] * len(prepared)

    def padding(self, texts: Sequence[Any], pairs: Sequence[str] | None = None) -> Padding:
        """Real and padded tokens of a call with these texts."""
        lengths = [len(reading.ids) for reading in self._read(texts, pairs)]
        return padding(lengths, self.plan(lengths))

    def try_out(self) -> float:
        """See `System.try_out`: long texts beside short ones, and each alone."""
        assert self._folder is not None, "only an opened folder says how large its vocabulary is"
        config = read_json(self._folder / "config.json")
        vocabulary, pad = int(config["vocab_size"]), int(config.get("pad_token_id") or 0)
        return run_uneven(self.session, vocabulary, self.manifest.max_length, pad)

    def _read(self, texts: Sequence[Any], pairs: Sequence[str] | None) -> list[Reading]:
        # the tokenizer's pool has a thread per core, so fewer threads mean the calling one
        parallel = self.threads >= cores() > 1 and len(texts) >= _MANY
        if self.about.reads_words:
            return self.reader.read_words(texts, parallel=parallel)
        return self.reader.read(texts, pairs, parallel=parallel)

    def _few_shapes(self, lengths: list[int]) -> list[Batch]:
        return plan_batches(
            lengths, self.reader.max_length, threads=self.threads, max_tokens=self.max_tokens
        )

    def _run(self, readings: Sequence[Reading]) -> Outputs:
        batches = self.plan([len(reading.ids) for reading in readings])
        pad = self.reader.pad_id
        results = [feed(self.session, stack(readings, batch, pad)) for batch in batches]
        rows = restore(batches, results)
        if not self.about.reads_words:
            return rows
        return [_by_word(row, one.firsts) for row, one in zip(rows, readings, strict=True)]


def open_graph(
    folder: Path, manifest: Manifest, *, threads: int | None = None, concurrency: int = 1
) -> Session:
    """The session of a transformer's folder, on the backend that `manifest` names."""
    backend = find_backend(manifest.backend)
    saturates = exact_with(manifest.instructions) and not multiplies_int8_exactly()
    if saturates and manifest.precision == "int8" and not backend.exact_int8:
        _log.warning(
            "%s was exported in int8 on a CPU whose int8 products are exact (VNNI or AMX); on this "
            "one they can saturate, and answers may differ from those that were judged: export the "
            "model again here, or load it with backend='pytorch'",
            folder,
        )
    return backend.open(
        folder,
        manifest.precision,
        kind=manifest.kind,
        pairs=manifest.pairs,
        threads=threads,
        concurrency=concurrency,
        layout=manifest.format,
    )


def _told(readings: list[Reading], on_cut: Cut | None) -> list[Reading]:
    """The readings, after `on_cut` was told of those that are not whole."""
    if on_cut is not None and (cut := [i for i, one in enumerate(readings) if one.cut]):
        on_cut(cut)
    return readings


def _by_word(row_TL: np.ndarray, firsts: Sequence[int | None]) -> np.ndarray:
    """The logits of each word [word, label]: those of its first token; -inf where it has none."""
    found = np.full((len(firsts), row_TL.shape[-1]), -np.inf, np.float32)
    read = [place for place, first in enumerate(firsts) if first is not None]
    found[read] = row_TL[[first for first in firsts if first is not None]]
    return found


def _held(manifest: Manifest) -> str:
    return ", ".join(" ".join(one) for one in candidates_of(manifest))
