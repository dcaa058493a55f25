"""The simplest rival of a search: TF-IDF with a linear model, fitted while one waits.

Whatever a search finds must be worth more than what its user could fit in a minute, so that the
simplest rival is saved, served, judged and timed as all others are.
"""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record, read
from leanformer.data import Dataset
from leanformer.measure.tfidf import fit_tfidf
from leanformer.search.entry import SIMPLEST


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
    events = read(record.path) if record.path.is_file() else []
    for event in events:
        fit = event.get("quantities", {}).get("fit") if event["event"] == "model" else None
        if fit and event["name"] == SIMPLEST:
            return Quantity(fit["value"], fit["unit"])
    return None
