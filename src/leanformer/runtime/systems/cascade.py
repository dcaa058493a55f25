"""A cheap system before a dear one: the first answers what it is sure of, and passes on the rest.

    answer(x) = first(x)     where gate(first(x)) >= threshold
                second(x)    otherwise

All texts that are passed on go to the second system in one call, in its own batches. Each answer
can say which part gave it (`answer_with_sources`). Either part may be any kind of system, a cascade
too; names of parts inside it are the ones that are said. For multi-label, each part answers by its
own thresholds: outputs are shifted to those of the cascade (`gates.thresholds`).

A text that the first reads whole and the second would cut is reported as cut only if it is passed
on: an answer of the first was made of the whole text.

    <folder>/cascade.json    gate, threshold, names of the parts, how many dev texts were passed on
    <folder>/first/          a served folder; so is second/
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.gates import shifted
from leanformer.runtime.manifest import Manifest, read_manifest
from leanformer.runtime.prepared import Prepared
from leanformer.runtime.session import Precision
from leanformer.runtime.system import Cut, Outputs, System, find_system, served
from leanformer.runtime.systems.cascade_folder import (
    FIRST,
    PARTS,
    SECOND,
    Rule,
    check_alike,
    check_gate,
    check_listed,
    check_names,
    read_rule,
    save_cascade,
)

__all__ = ["PARTS", "Cascade", "Rule", "save_cascade"]

_BACKEND = "cascade"


@served
class Cascade(System):
    """Two systems and the rule by which texts go from the first to the second.

    Attributes:
        first: Answers every text.
        second: Answers the texts that are passed on.
        rule: Gate, threshold and names, and what dev said of them.
    """

    name = "cascade"

    def __init__(self, first: System, second: System, rule: Rule, manifest: Manifest) -> None:
        """Put the parts together.

        Args:
            first: The cheap system.
            second: The dear one.
            rule: When a text is passed on.
            manifest: The task, its labels and the thresholds that answers are given by.

        Raises:
            ValueError: The parts do not answer the same question, its outputs do not say how sure
                they are, the gate is of other outputs, or two parts have one name.
        """
        check_alike(first.manifest, second.manifest)
        check_alike(manifest, second.manifest)
        check_gate(rule.gate, first.manifest)
        own = first.sources or rule.names[:1], second.sources or rule.names[1:]
        check_names(*own)
        self.first, self.second, self.rule, self._own = first, second, rule, own
        self.sources = (*own[0], *own[1])
        precision = second.manifest.precision
        self.manifest = replace(manifest, system=self.name, backend=_BACKEND, precision=precision)
        self.threads = max(first.threads, second.threads)
        self.concurrency = max(first.concurrency, second.concurrency)
        limits = [one.max_length for one in (first, second) if one.max_length is not None]
        self.max_length = min(limits, default=None)
        self.pins = {FIRST: first.pins, SECOND: second.pins}

    @classmethod
    def open(
        cls,
        folder: Path,
        manifest: Manifest,
        *,
        threads: int | None,
        concurrency: int = 1,
        rows: int | None = None,
    ) -> "Cascade":
        """See `System.open`; both parts are opened with these settings."""
        rule = read_rule(folder)

        def part(name: str) -> System:
            check_listed(folder, name, manifest)
            own = read_manifest(folder / name)
            return find_system(own.system).open(
                folder / name, own, threads=threads, concurrency=concurrency, rows=rows
            )

        try:
            return cls(part(FIRST), part(SECOND), rule, manifest)
        except ValueError as error:
            if str(folder) in str(error):
                raise
            raise ValueError(f"{folder}: {error}; save the cascade again") from error

    def answer(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> Outputs:
        """See `System.answer`."""
        return self.answer_with_sources(texts, pairs, on_cut=on_cut)[0]

    def answer_with_sources(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> tuple[Outputs, list[str]]:
        """See `System.answer_with_sources`."""
        raw, own = self.first.answer_with_sources(texts, pairs, on_cut=on_cut)
        outputs, sources = self._scaled(self.first, raw), self._named(0, own)
        passed = np.flatnonzero(self.passes_on(raw)).tolist()
        if passed:
            some = [texts[place] for place in passed]
            beside = None if pairs is None else [pairs[place] for place in passed]
            told = None if on_cut is None else _in_places(on_cut, passed)
            raw, own = self.second.answer_with_sources(some, beside, on_cut=told)
            later = self._scaled(self.second, raw), self._named(1, own)
            for place, output, source in zip(passed, *later, strict=True):
                outputs[place], sources[place] = output, source
        return outputs, sources

    def passes_on(self, outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
        """Which texts go on to the second system, [N], by the first one's outputs.

        Args:
            outputs: The first system's own outputs.
        """
        about = self.first.manifest
        scores_N = self.rule.gate.scores(outputs, about.kind, about.thresholds)
        return np.asarray(~(scores_N >= self.rule.threshold))  # NaN is not sure

    def length(self, text: str) -> int:
        """As long as the second system reads a text."""
        return self.second.length(text)

    def prepare(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        on_cut: Cut | None = None,
    ) -> list[Prepared]:
        """See `System.prepare`: as long as the second system reads; each part tells what it would
        cut. No reading is kept, since each part reads in its own way."""
        if on_cut is not None:
            self.first.prepare(texts, pairs, on_cut=on_cut)
        second = self.second.prepare(texts, pairs, on_cut=on_cut)
        return [replace(one, reading=None) for one in second]

    def try_out(self) -> float:
        """See `System.try_out`: the larger change of both parts."""
        return max(self.first.try_out(), self.second.try_out())

    @classmethod
    def choose(
        cls, manifest: Manifest, backend: str | None, precision: Precision | None
    ) -> tuple[str, Precision]:
        """See `System.choose`; what the parts run on was chosen when they were exported."""
        held = manifest.backend, manifest.precision
        if (backend or held[0], precision or held[1]) != held:
            raise ValueError(
                f"holds no {' '.join(one for one in (backend, precision) if one)} model: a cascade "
                f"opens each part as it was saved, and is called {' '.join(held)}; leave backend "
                f"and precision out, or load its part {FIRST}/ or {SECOND}/"
            )
        return held

    @classmethod
    def depends_on_batch(cls, folder: Path, manifest: Manifest) -> bool:
        """See `System.depends_on_batch`: whether one of the parts does."""
        parts = [(folder / name, read_manifest(folder / name)) for name in PARTS]
        return any(find_system(own.system).depends_on_batch(part, own) for part, own in parts)

    def _scaled(self, part: System, outputs: Outputs) -> Outputs:
        """A part's outputs on the scale of the cascade's thresholds."""
        return shifted(outputs, part.manifest.thresholds, self.manifest.thresholds)

    def _named(self, place: int, sources: list[str]) -> list[str]:
        """Names of the parts inside a part, or the part's own."""
        part = self.second if place else self.first
        return sources if part.sources else [*self._own[place]] * len(sources)


def _in_places(on_cut: Cut, places: list[int]) -> Callable[[list[int]], None]:
    """`on_cut` for some of the caller's texts, which are told by their indices in his list."""
    return lambda indices: on_cut([places[index] for index in indices])
