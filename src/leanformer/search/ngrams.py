"""The first rung of every search: n-grams with a linear model, fitted in seconds on what the
teacher says.

On topics and intents they answer most texts as the teacher does, at a hundredth of its cost; in
front of a stronger model they pass on what they are unsure of (`cascades`).
"""

from pathlib import Path
from typing import Any

from leanformer.data import Examples
from leanformer.distill.ngrams import fit_ngrams
from leanformer.search.contest import Contest
from leanformer.search.entry import NGRAMS, whole_teacher
from leanformer.search.fitted import enter_fitted

_MOST = 20_000  # texts without labels that the teacher answers for them


def enter_ngrams(contest: Contest, folder: Path) -> None:
    """Fit n-grams on the training texts and on what the teacher says of texts without labels.

    Args:
        contest: The contest, whose teacher and baselines have entered.
        folder: Where they are saved.
    """
    about = contest.dataset.task.about
    if not contest.graphs or about.output == "vector" or contest.request.portable:
        return
    enter_fitted(contest, NGRAMS, "candidate", folder, lambda: _fit(contest))


def _fit(contest: Contest) -> Any:
    dataset = contest.dataset
    texts = dataset.unlabelled
    if texts is None or not len(texts) or dataset.task.about.reads_words:
        return fit_ngrams(dataset.train, dataset.task)
    texts = texts.take(list(range(min(_MOST, len(texts)))))
    answers = _asked(contest, texts)
    return fit_ngrams(dataset.train, dataset.task, unlabelled=texts, answers=answers)


def _asked(contest: Contest, texts: Examples) -> list[Any]:
    """What the whole teacher says of texts."""
    contest.tell(f"the teacher answers {len(texts)} texts without labels")
    answers: list[Any] = whole_teacher(contest.entries).open().answer(texts.texts, texts.pairs)
    return answers
