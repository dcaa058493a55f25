"""Systems that are fitted while one waits: saved, judged and timed as all others.

The simplest rival, which a user could have without us (`simplest`), and our n-grams (`ngrams`).
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.serving.opening import open_system
from leanformer.search.contest import Contest
from leanformer.search.entry import Entry


def enter_fitted(
    contest: Contest, name: str, role: str, folder: Path, fit: Callable[[], Any]
) -> Entry | None:
    """Fit a system and let it take part; one that cannot be had is recorded with the reason.

    Args:
        contest: The contest, whose teacher has entered.
        name: How the record calls it.
        role: "baseline" or "candidate".
        folder: Where it is saved, with the thresholds that suit it on dev.
        fit: Makes the system, which has a method `save`; raises ValueError where that cannot be
            done: there is one class only, or there are no words.
    """
    if contest.decided(name, "skipped"):
        return None
    try:
        seconds = save_fitted(name, folder, contest.record, fit)
    except ValueError as error:
        contest.record.write("choice", name=name, decision="skipped", reason=str(error))
        return None
    entry = enter_served(contest, name, role, folder, {"fit": seconds})
    if thresholds := contest.thresholds(entry.judged):
        write_manifest(folder, replace(read_manifest(folder), thresholds=thresholds))
    contest.say(
        f"{name}, fitted in {seconds.value:.1f} s: {entry.dev:.4f} {contest.dataset.task.metric} "
        f"on dev, the teacher {contest.quality_of_teacher:.4f}"
    )
    return entry


def enter_served(
    contest: Contest,
    name: str,
    role: str,
    folder: Path,
    quantities: dict[str, Quantity],
    thresholds: tuple[float, ...] = (),
) -> Entry:
    """Judge a folder that describes itself on dev, and let it take part.

    Args:
        contest: The contest.
        name: How the record calls the system.
        role: "baseline" or "candidate".
        folder: Where it lies.
        quantities: What is known of it.
        thresholds: The probability from which each label is answered; () = those that suit its
            answers to dev.
    """
    system = open_system(folder)
    about, began = system.manifest, time.perf_counter()
    judged = contest.judge(system, "dev", thresholds)
    contest.answered(name, time.perf_counter() - began)
    entry = Entry(
        name=name,
        role=role,
        folder=folder,
        backend=about.backend,
        precision=about.precision,
        system=about.system,
        judged=judged,
    )
    contest.entries[name] = entry
    contest.write(entry, quantities)
    return entry


def save_fitted(name: str, folder: Path, record: Record, fit: Callable[[], Any]) -> Quantity:
    """Fit and save; a resumed search has it already.

    Returns:
        Seconds that fitting took, of an earlier fit by the record.

    Raises:
        ValueError: It cannot be fitted.
    """
    before = _recorded(name, record)
    if before is not None and (folder / "leanformer.json").is_file():
        return before
    started = time.perf_counter()
    fitted = fit()
    seconds = time.perf_counter() - started
    fitted.save(folder, overwrite=True)
    return Quantity(seconds, "s")


def _recorded(name: str, record: Record) -> Quantity | None:
    for event in record.events():
        found = event.get("quantities", {}).get("fit") if event["event"] == "model" else None
        if found and event["name"] == name:
            return Quantity(**found)
    return None
