"""The simplest rival of a search: TF-IDF with a linear model, fitted while one waits.

Whatever a search finds must be worth more than what its user could fit in a minute, so that the
simplest rival is saved, served, judged and timed as all others are.
"""

from pathlib import Path

from leanformer.measure.tfidf import fit_tfidf
from leanformer.search.contest import Contest
from leanformer.search.entrants.fitted import enter_fitted
from leanformer.search.entry import SIMPLEST


def enter_simplest(contest: Contest, folder: Path) -> None:
    """Fit the simplest rival; one that cannot be had is recorded with the reason.

    Args:
        contest: The contest, whose teacher has entered.
        folder: Where the rival is saved, with the thresholds that suit it on dev.
    """
    if not contest.graphs:
        return
    dataset = contest.dataset
    targets = contest.targets("train") if dataset.task.about.output == "vector" else None
    enter_fitted(
        contest,
        SIMPLEST,
        "baseline",
        folder,
        lambda: fit_tfidf(dataset.train, dataset.task, targets),
    )
