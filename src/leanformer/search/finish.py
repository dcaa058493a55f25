"""The end of a search: time all systems side by side, choose, export, open the test split once.

The race of backends may serve another form of the chosen model than the int8 graph that was timed
(fp32 on a CPU without integer kernels): then that form is judged and timed too, beside the same
baselines, and the verdict speaks of it. What was chosen by its size or its memory keeps its form.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record, read
from leanformer.core.storage.files import new_folder
from leanformer.measure.folders import FOOTPRINT, measure_folders
from leanformer.quantize.to_int8 import is_fake_quantized
from leanformer.report.units import share
from leanformer.runtime.backends import find_backend, graph_file
from leanformer.runtime.export import DEFAULT, export_folder
from leanformer.runtime.manifest import Manifest, format_of, read_manifest, write_manifest
from leanformer.runtime.race import Candidate
from leanformer.runtime.serving.opening import checked, open_system
from leanformer.runtime.systems.cascade import Cascade
from leanformer.search import evidence
from leanformer.search.clock import WHOLE
from leanformer.search.contest import Contest
from leanformer.search.entrants.chains import Chain
from leanformer.search.entry import INT8_TEACHER, SIMPLEST, TEACHER, Entry
from leanformer.search.judged import Judged
from leanformer.search.outcome import Outcome, Picked, beside_majority, outcome_of, pick, refutes
from leanformer.search.request import Request

_SPOKEN_OF = (TEACHER, INT8_TEACHER, SIMPLEST)  # in the verdict, beside the exported model
_INT8: Candidate = ("openvino", "int8")


def finish(
    contest: Contest, out: Path, *, chains: Sequence[Chain] = (), note: str = ""
) -> Entry | None:
    """Write the contest's results to the record, and the chosen model to `out/model`.

    Args:
        contest: All systems, judged on dev.
        out: The search's folder.
        chains: What dev says of cascades; those that take part have entered the contest.
        note: What the verdict has to add about its promise.

    Returns:
        The chosen system; None where nothing keeps the quality that was asked for.
    """
    picked = _settled(contest) or _pick(contest, chains)
    if picked is None:
        _write_verdict(contest, None, "not kept", sentence=_nothing(contest.request))
        return None
    chosen = contest.entries[picked.name]
    race = "its backends race, and " if contest.graphs and chosen.model is not None else ""
    contest.say(f"chosen: {picked.name}; {race}the test split is opened once")
    exported = _export(contest, chosen, out / "model") if contest.graphs else chosen
    if exported.name != chosen.name and not _timed(contest, exported):
        contest.say(f"exported as {exported.name}: timed beside the others")
        beside = {n: one for n, one in contest.entries.items() if n in (*_SPOKEN_OF, chosen.name)}
        _measure(contest, {**beside, exported.name: exported})
    promise = contest.promise_of(exported.judged)
    teacher, student = _test(contest, exported)
    refuted = refutes(teacher, student, contest.dataset.task, promise)
    _write_verdict(
        contest,
        chosen.name,
        outcome_of(promise, picked.proven, refuted),
        exported=exported.name,
        promise=promise.json(),
        refuted=refuted,
        faster=picked.faster,
        majority=beside_majority(exported.judged, contest.dataset.task, contest.request.confidence),
        note=note,
    )
    return chosen


def _pick(contest: Contest, chains: Sequence[Chain]) -> Picked | None:
    """Time everything, choose, and keep the choice."""
    contest.say(f"contest: {len(contest.entries)} systems timed side by side")
    picked = pick(contest, _measure(contest, contest.entries), chains)
    if picked is not None:
        contest.record.write("choice", decision="chosen", **asdict(picked))
    return picked


def _write_verdict(contest: Contest, chosen: str | None, outcome: Outcome, **more: Any) -> None:
    contest.record.write(
        "verdict",
        chosen=chosen,
        teacher=TEACHER,
        baseline=INT8_TEACHER,
        outcome=outcome,
        **({"sentence": ""} | more),
    )


def _nothing(request: Request) -> str:
    return f"Nothing kept {share(request.keep)} of the teacher's quality on dev."


def finished(record: Record) -> bool:
    """Whether the verdict is written: the test split is not opened a second time.

    Raises:
        ValueError: It is, and the exported model is gone or damaged.
    """
    kinds = {event["event"] for event in read(record.path)}
    if "verdict" in kinds and "backends" in kinds:
        _check_exported(record.path)
    return "verdict" in kinds


def _check_exported(record: Path) -> None:
    try:
        checked(record.parent / "model")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{record} says that all is finished, and the model is gone or damaged ({error}); copy "
            f"the model back, or remove {record.name} to judge and export again what is trained"
        ) from error


def _settled(contest: Contest) -> Picked | None:
    """What was chosen before an interruption; the clock is not asked twice.

    A version that proved nothing chose by another rule: then it is chosen anew.
    """
    for event in reversed(contest.known("choice")):
        if event["decision"] == "chosen" and "proven" in event:
            return Picked(
                name=event["name"],
                proven=event["proven"],
                faster=tuple(event["faster"]),
                reason=event["reason"],
            )
    return None


def _timed(contest: Contest, entry: Entry) -> bool:
    """Whether the record has the times of a system."""
    models = [event for event in contest.known("model") if event["name"] == entry.name]
    return any("throughput" in (event.get("quantities") or {}) for event in models)


def _measure(contest: Contest, entries: dict[str, Entry]) -> dict[str, dict[str, Quantity]]:
    """Time systems side by side, and record what was measured."""
    dev = contest.dataset.dev
    effort = WHOLE if contest.clock is None else contest.clock.effort
    texts = dev.take(list(range(min(effort.texts, len(dev)))))
    measured, _ = measure_folders(
        {name: (one.folder, one.backend, one.precision) for name, one in entries.items()},
        texts.texts,
        texts.pairs,
        known=_footprints(contest),
        rounds=effort.rounds,
        requests=effort.requests,
        threads=contest.request.threads or None,
        tell=contest.tell,
    )
    for name, entry in entries.items():
        contest.write(entry, measured[name])
    return measured


def _footprints(contest: Contest) -> dict[str, dict[str, Quantity]]:
    """What the record has of each system but its times; of a cascade, the share of dev that is
    passed on, which the texts that are timed are only a part of."""
    known: dict[str, dict[str, Quantity]] = {}
    for one in contest.known("model"):
        found = one.get("quantities") or {}
        told = {key: Quantity(**found[key]) for key in FOOTPRINT if key in found}
        known.setdefault(one["name"], {}).update(told)
    return known


def _export(contest: Contest, chosen: Entry, folder: Path) -> Entry:
    """Race the backends of the chosen model; in int8 it keeps the graph that was judged.

    Returns:
        The model as it is served: `chosen` itself, or another form of it, judged on dev.
    """
    served_as_judged = chosen.model is None  # n-grams and cascades
    if not (folder.is_dir() and _exported(contest, chosen)):
        (_copy if served_as_judged else _race)(contest, chosen, folder)
    if served_as_judged:
        return chosen
    served = read_manifest(folder)
    exported = chosen
    if (served.backend, served.precision) != (chosen.backend, chosen.precision):
        exported = _other_form(contest, chosen, folder, served)
    if thresholds := contest.thresholds(exported.judged):
        write_manifest(folder, replace(served, thresholds=thresholds))
    return exported


def _other_form(contest: Contest, chosen: Entry, folder: Path, served: Manifest) -> Entry:
    """The chosen model as another backend or precision serves it, judged on dev."""
    first = chosen.name.split(" ·")[0]
    name = f"{first} · {find_backend(served.backend).title} {served.precision}"
    known = contest.entries.get(name, chosen)
    return Entry(
        name=name,
        role=known.role,
        folder=folder,
        backend=served.backend,
        precision=served.precision,
        judged=contest.judge(open_system(folder), "dev"),
        model=chosen.model,
        tokenizer=chosen.tokenizer,
    )


def _exported(contest: Contest, chosen: Entry) -> bool:
    """Whether it was exported before an interruption: the test split may have been opened for it,
    and is not opened for the winner of another race."""
    return any(event.get("model") == chosen.name for event in contest.known("backends"))


def _copy(contest: Contest, chosen: Entry, folder: Path) -> None:
    with new_folder(folder, overwrite=True) as temporary:
        shutil.copytree(chosen.folder, temporary, dirs_exist_ok=True)
    contest.record.write("backends", model=chosen.name, rows=[])


def _race(contest: Contest, chosen: Entry, folder: Path) -> None:
    graph = graph_file(chosen.folder, *_INT8, format_of(chosen.folder))
    goal = contest.request.goal
    rows, _ = export_folder(
        chosen.model,
        chosen.tokenizer,
        contest.dataset.task,
        folder,
        contest.calibration(chosen.tokenizer),
        # others would round again a model that was trained to round
        candidates=(_INT8,) if is_fake_quantized(chosen.model) else DEFAULT,
        made={_INT8: graph} if graph.is_file() else None,
        threads=contest.request.threads or None,
        batch_dependent=contest.request.batch_dependent,
        by="latency" if goal == "latency" else "throughput",
        # a faster form may be larger than what was chosen for being small
        kept=(chosen.backend, chosen.precision) if goal in ("size", "memory") else None,
        compared=contest.descriptions.texts(),
        overwrite=True,
        tell=contest.tell,
    )
    contest.record.write("backends", model=chosen.name, rows=[asdict(row) for row in rows])


def _test(contest: Contest, exported: Entry) -> tuple[Judged, Judged]:
    """Open the test split: once, for the systems that the verdict speaks of.

    Returns:
        What the teacher and the exported model say about it.
    """
    found = {}
    for name in _SPOKEN_OF:
        if name in contest.entries:
            entry = contest.entries[name]
            found[name] = _judge_test(contest, entry)
            contest.write(entry, {}, found[name].quality)
    student = found.get(exported.name) or _judge_test(contest, exported)
    contest.write(exported, {}, student.quality)
    _write_evidence(contest, found[TEACHER], student)
    return found[TEACHER], student


def _judge_test(contest: Contest, entry: Entry) -> Judged:
    """What a system says about the test split, answered by the thresholds of dev; a cascade answers
    by those that its parts are shifted to, as it is served."""
    system = entry.open()
    cascade = entry.system == Cascade.name
    thresholds = system.manifest.thresholds if cascade else contest.thresholds(entry.judged)
    return contest.judge(system, "test", thresholds)


def _write_evidence(contest: Contest, teacher: Judged, student: Judged) -> None:
    dataset, record = contest.dataset, contest.record
    if not dataset.task.about.grouped:  # the texts of one query are of different lengths
        encoded = contest.encode(dataset.test, contest.tokenizer)
        lengths = [encoded.length(index) for index in range(len(encoded))]
        rows = evidence.by_length(dataset, lengths, teacher, student)
        record.write("slices", split="test", by="length", metric=dataset.task.metric, rows=rows)
    if dataset.task.about.majority:
        rows = evidence.by_class(dataset, teacher, student)
        record.write("slices", split="test", by="class", metric="accuracy", rows=rows)
        record.write("disagreements", rows=evidence.disagreements(dataset, teacher, student))
