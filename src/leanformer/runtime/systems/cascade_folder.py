"""The folder of a cascade: what it holds, how it is written, and what it refuses.

    <folder>/leanformer.json    the task; checksums of every other file, the parts' included
    <folder>/cascade.json       {"gate": {"use": "margin"}, "threshold": 0.31, "deferred": 69,
                                 "texts": 1000, "names": ["n-grams", "teacher"]}
    <folder>/first/             a served folder with the files that its system needs, and no others
    <folder>/second/            the same

The parts lie at these two names and nowhere else, and the checksum of each part's description is
in the cascade's own: no folder can contain itself.
"""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leanformer.core.codec import decode, encode
from leanformer.core.ranges import Count, Index, Number, ranged
from leanformer.core.storage.files import new_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.runtime.gates import Gate, check_gated
from leanformer.runtime.manifest import NAME, Manifest, check_files, read_manifest, write_manifest
from leanformer.runtime.system import find_system
from leanformer.tasks import kind_named

RULE = "cascade.json"
PARTS = FIRST, SECOND = "first", "second"


@dataclass(frozen=True, kw_only=True)
@ranged
class Rule:
    """When a text is passed on, and what dev said of that.

    Attributes:
        gate: Scores how sure the first system is.
        threshold: Texts with a lower score are passed on.
        deferred: How many dev texts were passed on.
        texts: Number of dev texts.
        names: Names of the parts, which answers say they come from.
    """

    gate: Gate
    threshold: Number
    deferred: Index
    texts: Count
    names: tuple[str, str] = (FIRST, SECOND)

    def __post_init__(self) -> None:
        if self.deferred > self.texts:
            raise ValueError(f"deferred: {self.deferred} of {self.texts} texts is more than all")
        if not all(self.names):
            raise ValueError(f"names: {self.names!r} has an empty name; name both parts")

    @property
    def rate(self) -> float:
        """The share of dev texts that was passed on."""
        return self.deferred / self.texts


def save_cascade(
    folder: str | Path,
    first: str | Path,
    second: str | Path,
    *,
    gate: Gate | str,
    threshold: float,
    deferred: int,
    texts: int,
    names: tuple[str, str] = (FIRST, SECOND),
    overwrite: bool = False,
) -> Manifest:
    """Write a folder that `leanformer.load` opens, with copies of what both parts need.

    Args:
        folder: The folder to write.
        first: Served folder of the cheap system.
        second: Served folder of the dear one.
        gate: How sure the first has to be is measured by this gate, or by the one of this name.
        threshold: Texts with a lower score are passed on to the second.
        deferred: How many dev texts were passed on at this threshold.
        texts: Number of dev texts.
        names: What answers call the parts that they come from; a part that is a cascade keeps the
            names of its own parts.
        overwrite: Replace what `folder` holds.

    Raises:
        FileExistsError: `folder` holds something, and `overwrite` is false.
        FileNotFoundError: A part was not exported by leanformer.
        ValueError: A part is damaged or would be replaced, the parts do not answer the same
            question, the task has no gate, the gate is of other outputs, or a number is out of its
            range.
    """
    folder, parts = Path(folder), {FIRST: Path(first), SECOND: Path(second)}
    rule = _rule(gate, threshold, deferred, texts, names)
    manifests = {name: _checked(part, folder) for name, part in parts.items()}
    about, other = manifests[SECOND], manifests[FIRST]
    try:
        check_alike(other, about)
        check_gate(rule.gate, other)
        check_names(*(_names(parts[n], manifests[n], rule.names[i]) for i, n in enumerate(parts)))
    except ValueError as error:
        raise ValueError(f"{first} and {second}: {error}") from error
    with new_folder(folder, overwrite=overwrite) as temporary:
        for name, part in parts.items():
            _copy(part, temporary / name, manifests[name])
        write_text(temporary / RULE, json.dumps(encode(rule), ensure_ascii=False, indent=2))
        return write_manifest(
            temporary,
            Manifest(
                kind=about.kind,
                system="cascade",
                labels=about.labels,
                thresholds=about.thresholds,
                max_length=about.max_length,
                pairs=about.pairs,
                backend="cascade",
                precision=about.precision,
                batch_dependent=about.batch_dependent or other.batch_dependent,
            ),
        )


def read_rule(folder: Path) -> Rule:
    """The rule of a cascade's folder.

    Raises:
        ValueError: `cascade.json` is not what `save_cascade` wrote.
    """
    path = folder / RULE
    try:
        rule: Rule = decode(Rule, read_json(path))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); save the cascade again") from error
    return rule


def check_alike(first: Manifest, second: Manifest) -> None:
    """Refuse parts that do not answer the same question, or do not say how sure they are.

    Thresholds may differ: each part answers by its own.

    Raises:
        ValueError: The tasks, the labels or their order differ, one reads pairs and the other does
            not, or the task has no gate.
    """
    for what in ("kind", "labels", "pairs"):
        ours, theirs = getattr(first, what), getattr(second, what)
        if ours != theirs:
            raise ValueError(
                f"{what}: {_shown(ours)} and {_shown(theirs)} differ; both parts of a cascade must "
                "do the same task, with the same labels in the same order"
            )
    check_gated(first.kind)


def check_gate(gate: Gate, first: Manifest) -> None:
    """Refuse a gate whose settings do not fit the first system's outputs.

    Raises:
        ValueError: What does not fit.
    """
    outputs = np.zeros((1, len(first.labels)), np.float32)
    rows = [outputs] if kind_named(first.kind).reads_words else list(outputs)
    try:
        gate.scores(rows, first.kind, first.thresholds)
    except ValueError as error:
        raise ValueError(f"gate: {error}") from error


def check_names(first: Sequence[str], second: Sequence[str]) -> None:
    """Refuse names of parts that do not tell them apart.

    Raises:
        ValueError: A name occurs twice.
    """
    every = [*first, *second]
    if twice := [name for name in every if every.count(name) > 1]:
        raise ValueError(
            f"names: {twice[0]!r} names two parts of {', '.join(every)}; give each its own name"
        )


def check_listed(folder: Path, part: str, manifest: Manifest) -> None:
    """Refuse a part with files that the cascade's checksums do not cover.

    Raises:
        ValueError: A file that the part needs is not among the cascade's.
    """
    needed = [NAME]
    if f"{part}/{NAME}" in manifest.files:
        own = read_manifest(folder / part)
        needed += find_system(own.system).files(own)
    if missing := [name for name in needed if f"{part}/{name}" not in manifest.files]:
        raise ValueError(
            f"{folder / part / missing[0]} is not among the files of the cascade in "
            f"{folder / NAME}; save the cascade again"
        )


def _rule(
    gate: Gate | str, threshold: float, deferred: int, texts: int, names: tuple[str, str]
) -> Rule:
    if isinstance(threshold, float) and math.isinf(threshold):
        part = SECOND if threshold > 0 else FIRST
        raise ValueError(
            f"threshold: {threshold} lets the {part} part answer every text; serve it alone"
        )
    found: Gate = decode(Gate, gate, "gate") if isinstance(gate, str) else gate
    return Rule(gate=found, threshold=threshold, deferred=deferred, texts=texts, names=names)


def _checked(part: Path, folder: Path) -> Manifest:
    """The description of a part whose files are whole."""
    if part.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{part} lies in {folder}, which is written anew; name another folder")
    manifest = read_manifest(part)
    check_files(part, manifest, find_system(manifest.system).files(manifest))
    return manifest


def _names(part: Path, manifest: Manifest, name: str) -> tuple[str, ...]:
    """What answers of a part are called: of a cascade, the names of its parts."""
    if manifest.system != "cascade":
        return (name,)
    rule = read_rule(part)
    inner = zip(PARTS, rule.names, strict=True)
    return tuple(
        n for place, own in inner for n in _names(part / place, read_manifest(part / place), own)
    )


def _copy(part: Path, to: Path, manifest: Manifest) -> None:
    """Copy the files that answer, and describe the copy."""
    for name in find_system(manifest.system).files(manifest):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(part / name, to / name)
    write_manifest(to, manifest, exported_here=False)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(value[:6])}{', …' if len(value) > 6 else ''}]"
    return repr(value)
