"""The end of a search: time all systems side by side, choose, export, open the test split once."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record, read
from leanformer.measure.folders import measure_folders
from leanformer.measure.promise import Promise
from leanformer.measure.systems import System as Timed
from leanformer.quantize.integer import rounds
from leanformer.recipe import open_model
from leanformer.report.units import share
from leanformer.runtime.export import DEFAULT, export_folder
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.opening import open_session
from leanformer.runtime.race import Candidate
from leanformer.runtime.session import graph_file
from leanformer.search import evidence
from leanformer.search.contest import INT8_TEACHER, TEACHER, Contest, System
from leanformer.search.judged import Judged, thresholds_of
from leanformer.search.outcome import Outcome, Picked, beside_majority, outcome_of, pick, refutes
from leanformer.search.request import Request
from leanformer.search.simplest import SIMPLEST

_TIMED = 256  # texts of the mixed-length load
_INT8: Candidate = ("openvino", "int8")


def finish(
    contest: Contest,
    request: Request,
    out: Path,
    watch: Callable[[str, Any], None] | None,
    *,
    note: str = "",
) -> System | None:
    """Write the contest's results to the record, and the chosen model to `out/model`.

    Args:
        contest: All systems, judged on dev.
        request: What is asked.
        out: The search's folder.
        watch: Called with a name and a text.
        note: What the verdict has to add about its promise.

    Returns:
        The chosen system; None where nothing keeps the quality that was asked for.
    """

    def say(text: str) -> None:
        if watch is not None:
            watch("search", text)

    say(f"contest: {len(contest.systems)} systems timed side by side")
    measured = _measure(contest, request)
    for name, system in contest.systems.items():
        contest.write(system, measured[name])
    if contest.simplest is not None:
        contest.write_simplest(measured[SIMPLEST])
    settled = _settled(contest)
    picked = settled or pick(contest, measured)
    if picked is None:
        _write_verdict(contest, None, "not kept", sentence=_nothing(request))
        return None
    if settled is None:
        contest.record.write("choice", decision="chosen", **asdict(picked))
    say(f"chosen: {picked.name}; its backends race, and the test split is opened once")
    chosen = contest.systems[picked.name]
    served = _export(contest, chosen, out / "model")
    promise = contest.promise_of(served)
    refuted = _test(contest, chosen, out / "model", measured, promise)
    _write_verdict(
        contest,
        chosen.name,
        outcome_of(promise, picked.proven, refuted),
        promise=promise.json(),
        refuted=refuted,
        faster=picked.faster,
        majority=beside_majority(served, contest.dataset.task, request.confidence),
        note=note,
    )
    return chosen


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
    """Whether the verdict is written: the test split is not opened a second time."""
    return any(event["event"] == "verdict" for event in read(record.path))


def _settled(contest: Contest) -> Picked | None:
    """What was chosen before an interruption; the clock is not asked twice.

    A version that proved nothing chose by another rule: then it is chosen anew.
    """
    for event in reversed(read(contest.record.path)):
        if event["event"] == "choice" and event["decision"] == "chosen" and "proven" in event:
            return Picked(
                name=event["name"],
                proven=event["proven"],
                faster=tuple(event["faster"]),
                reason=event["reason"],
            )
    return None


def _measure(contest: Contest, request: Request) -> dict[str, dict[str, Quantity]]:
    dataset, simplest = contest.dataset, contest.simplest
    texts = dataset.dev.take(list(range(min(_TIMED, len(dataset.dev)))))
    quantities, _ = measure_folders(
        {
            name: (system.folder, system.backend, system.precision)
            for name, system in contest.systems.items()
        },
        texts.texts,
        texts.pairs,
        others={} if simplest is None else {SIMPLEST: Timed(open=lambda threads: simplest)},
        threads=request.threads or None,
    )
    return quantities


def _export(contest: Contest, chosen: System, folder: Path) -> Judged:
    """Race the backends of the chosen model; in int8 it keeps the graph that was judged.

    Returns:
        What the exported model says about dev, as it is served.
    """
    model, tokenizer = open_model(str(chosen.folder), contest.dataset, contest.request.seed)
    if not (folder.is_dir() and _exported(contest, chosen)):
        _race(contest, chosen, model, tokenizer, folder)
    served = read_manifest(folder)
    same = (served.backend, served.precision) == _INT8
    judged = (
        contest.dev[chosen.name] if same else contest.judge(open_session(folder), tokenizer, "dev")
    )
    if bars := thresholds_of(judged.outputs, contest.dataset.dev, contest.dataset.task):
        write_manifest(folder, replace(served, thresholds=bars))
    return judged


def _exported(contest: Contest, chosen: System) -> bool:
    """Whether it was exported before an interruption: the test split may have been opened for it,
    and is not opened for the winner of another race."""
    return any(
        event["event"] == "backends" and event.get("model") == chosen.name
        for event in read(contest.record.path)
    )


def _race(contest: Contest, chosen: System, model: Any, tokenizer: Any, folder: Path) -> None:
    graph = graph_file(chosen.folder, "openvino", "int8").parent
    rows, _ = export_folder(
        model,
        tokenizer,
        contest.dataset.task,
        folder,
        contest.calibration(),
        # others would round again a model that was trained to round
        candidates=(_INT8,) if rounds(model) else DEFAULT,
        made={_INT8: graph} if graph.is_dir() else None,
        threads=contest.request.threads or None,
        batch_dependent=contest.request.batch_dependent,
        overwrite=True,
    )
    contest.record.write("backends", model=chosen.name, rows=[asdict(row) for row in rows])


def _test(
    contest: Contest,
    chosen: System,
    folder: Path,
    measured: dict[str, dict[str, Quantity]],
    promise: Promise,
) -> bool:
    """Open the test split: once, for the systems that the verdict speaks of.

    Returns:
        Whether it proves that less is kept than was promised.
    """
    dataset = contest.dataset
    teacher = contest.judge(contest.systems[TEACHER].open(), contest.tokenizer, "test")
    contest.write(contest.systems[TEACHER], measured[TEACHER], teacher.quality)
    if INT8_TEACHER in contest.systems:
        rival = contest.judge(contest.systems[INT8_TEACHER].open(), contest.tokenizer, "test")
        contest.write(contest.systems[INT8_TEACHER], measured[INT8_TEACHER], rival.quality)
    if contest.simplest is not None:
        contest.write_simplest(measured[SIMPLEST], contest.judge_simplest("test").quality)
    _, tokenizer = open_model(str(folder), dataset, contest.request.seed)
    student = contest.judge(open_session(folder), tokenizer, "test")
    contest.write(chosen, measured[chosen.name], student.quality)
    _write_evidence(contest, teacher, student)
    return refutes(teacher, student, dataset.task, promise)


def _write_evidence(contest: Contest, teacher: Judged, student: Judged) -> None:
    dataset, record = contest.dataset, contest.record
    encoded = contest.encode(dataset.test, contest.tokenizer)
    if not dataset.task.about.grouped:  # the texts of one query are of different lengths
        rows = evidence.by_length(dataset, encoded, teacher, student)
        record.write("slices", split="test", by="length", metric=dataset.task.metric, rows=rows)
    if dataset.task.about.majority:
        rows = evidence.by_class(dataset, teacher, student)
        record.write("slices", split="test", by="class", metric="accuracy", rows=rows)
        record.write("disagreements", rows=evidence.disagreements(dataset, teacher, student))
