"""The simplest rival of a search: TF-IDF with a linear model, fitted while one waits.

Whatever a search finds must be worth more than what its user could fit in a minute, so that the
simplest rival is saved, served, judged and timed as all others are.
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record
from leanformer.data import Dataset
from leanformer.measure.tfidf import fit_tfidf
from leanformer.runtime.manifest import write_manifest
from leanformer.runtime.serving.opening import open_system
from leanformer.search.contest import Contest
from leanformer.search.entry import SIMPLEST, Entry


def enter_simplest(contest: Contest, folder: Path) -> None:
    """Fit the simplest rival; one that cannot be had is recorded with the reason.

    Args:
        contest: The contest, whose teacher has entered.
        folder: Where the rival is saved, with the thresholds that suit it on dev.
    """
    if not contest.graphs or contest.decided(SIMPLEST, "skipped"):
        return
    task = contest.dataset.task
    targets = contest.targets("train") if task.about.output == "vector" else None
    try:
        fit = save_simplest(contest.dataset, targets, folder, contest.record)
    except ValueError as error:  # scikit-learn's: one class, no words
        contest.record.write("choice", name=SIMPLEST, decision="skipped", reason=str(error))
        return
    system = open_system(folder)
    about = system.manifest
    entry = Entry(
        name=SIMPLEST,
        role="baseline",
        folder=folder,
        backend=about.backend,
        precision=about.precision,
        system=about.system,
        judged=contest.judge(system, "dev"),
    )
    if thresholds := contest.thresholds(entry.judged):
        write_manifest(folder, replace(about, thresholds=thresholds))
    contest.entries[SIMPLEST] = entry
    contest.write(entry, {"fit": fit})
    contest.say(
        f"simplest rival, fitted in {fit.value:.1f} s: {entry.dev:.4f} "
        f"{task.metric} on dev, the teacher {contest.quality_of_teacher:.4f}"
    )


def save_simplest(
    dataset: Dataset, targets: NDArray[np.float32] | None, folder: Path, record: Record
) -> Quantity:
    """Fit the simplest rival on the training split and save it; a resumed search has it already.

    Args:
        dataset: The splits.
        targets: For embedding, the teacher's vectors of the training split [N, D].
        folder: Where it is saved.
        record: The record, which keeps how long an earlier fit took.

    Returns:
        Seconds that fitting took.

    Raises:
        ValueError: It cannot be fitted: there is one class only, or there are no words.
    """
    before = _recorded(record)
    if before is not None and (folder / "leanformer.json").is_file():
        return before
    started = time.perf_counter()
    fitted = fit_tfidf(dataset.train, dataset.task, targets)
    seconds = time.perf_counter() - started
    fitted.save(folder, overwrite=True)
    return Quantity(seconds, "s")


def _recorded(record: Record) -> Quantity | None:
    for event in record.events():
        fit = event.get("quantities", {}).get("fit") if event["event"] == "model" else None
        if fit and event["name"] == SIMPLEST:
            return Quantity(**fit)
    return None
