"""The end of a search: time all systems side by side, choose, export, open the test split once."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record, read
from leanformer.measure.folders import measure_folders
from leanformer.quantize.integer import rounds
from leanformer.recipe import open_model
from leanformer.runtime.export import DEFAULT, export_folder
from leanformer.runtime.opening import open_session
from leanformer.runtime.race import Candidate
from leanformer.runtime.session import graph_file
from leanformer.search import evidence
from leanformer.search.contest import INT8_TEACHER, TEACHER, Contest, System
from leanformer.search.request import Request

_TIMED = 256  # texts of the mixed-length load
_TOLERANCE = 1e-9
_INT8: Candidate = ("openvino", "int8")


def finish(
    contest: Contest,
    request: Request,
    out: Path,
    watch: Callable[[str, Any], None] | None,
) -> System | None:
    """Write the contest's results to the record, and the chosen model to `out/model`.

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
    settled = _settled(contest)
    chosen = settled or choose(contest, request, measured)
    if chosen is None:
        contest.record.write(
            "verdict",
            chosen=None,
            teacher=TEACHER,
            baseline=INT8_TEACHER,
            sentence=f"Nothing kept {request.keep:.1%} of the teacher's quality on dev.",
        )
        return None
    reason = f"the fastest measured that keeps {request.keep:.1%} of the teacher's quality on dev"
    if settled is None:
        contest.record.write("choice", name=chosen.name, decision="chosen", reason=reason)
    say(f"chosen: {chosen.name}; its backends race, and the test split is opened once")
    _export(contest, chosen, out / "model")
    _test(contest, chosen, out / "model", measured)
    contest.record.write(
        "verdict", chosen=chosen.name, teacher=TEACHER, baseline=INT8_TEACHER, sentence=""
    )
    return chosen


def finished(record: Record) -> bool:
    """Whether the verdict is written: the test split is not opened a second time."""
    return any(event["event"] == "verdict" for event in read(record.path))


def choose(
    contest: Contest, request: Request, measured: dict[str, dict[str, Quantity]]
) -> System | None:
    """The fastest system in int8 that keeps the quality; the whole teacher is one of them."""
    least = request.keep * contest.quality_of_teacher - _TOLERANCE
    fair = [
        system
        for name, system in contest.systems.items()
        if system.dev >= least and (system.role == "candidate" or name == INT8_TEACHER)
    ]
    return max(fair, key=lambda system: measured[system.name]["throughput"].value, default=None)


def _settled(contest: Contest) -> System | None:
    """What was chosen before an interruption; the clock is not asked twice."""
    names = [
        event["name"]
        for event in read(contest.record.path)
        if event["event"] == "choice" and event["decision"] == "chosen"
    ]
    return contest.systems.get(names[-1]) if names else None


def _measure(contest: Contest, request: Request) -> dict[str, dict[str, Quantity]]:
    dataset = contest.dataset
    texts = dataset.dev.take(list(range(min(_TIMED, len(dataset.dev)))))
    quantities, _ = measure_folders(
        {
            name: (system.folder, system.backend, system.precision)
            for name, system in contest.systems.items()
        },
        texts.texts,
        texts.pairs,
        threads=request.threads or None,
    )
    return quantities


def _export(contest: Contest, chosen: System, folder: Path) -> None:
    """Race the backends of the chosen model; in int8 it keeps the graph that was judged."""
    model, tokenizer = open_model(str(chosen.folder), contest.dataset, contest.request.seed)
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
        overwrite=True,
    )
    contest.record.write("backends", model=chosen.name, rows=[asdict(row) for row in rows])


def _test(
    contest: Contest,
    chosen: System,
    folder: Path,
    measured: dict[str, dict[str, Quantity]],
) -> None:
    """Open the test split: once, for the systems that the verdict speaks of."""
    dataset, record = contest.dataset, contest.record
    teacher = contest.judge(contest.systems[TEACHER].open(), contest.tokenizer, "test")
    contest.write(contest.systems[TEACHER], measured[TEACHER], teacher.quality)
    if INT8_TEACHER in contest.systems:
        rival = contest.judge(contest.systems[INT8_TEACHER].open(), contest.tokenizer, "test")
        contest.write(contest.systems[INT8_TEACHER], measured[INT8_TEACHER], rival.quality)
    _, tokenizer = open_model(str(folder), dataset, contest.request.seed)
    student = contest.judge(open_session(folder), tokenizer, "test")
    contest.write(chosen, measured[chosen.name], student.quality)
    metric = dataset.task.metric
    slices = {"length": evidence.by_length(dataset, teacher, student)}
    if dataset.task.kind == "classification":
        slices["class"] = evidence.by_class(dataset, teacher, student)
        rows = evidence.disagreements(dataset, teacher, student)
        record.write("disagreements", rows=rows)
    for by, found in slices.items():
        record.write("slices", split="test", by=by, metric=metric, rows=found)
