"""The first rung of every search: n-grams with a linear model, fitted in seconds on what the
teacher says.

On topics and intents they answer most texts as the teacher does, at a hundredth of its cost; in
front of a stronger model they pass on what they are unsure of (`cascades`).

Texts without labels help where they are of the kind of the training texts, and harm where they are
not: whether they are used is decided on a fifth of the training texts, so that dev stays unseen.
"""

from pathlib import Path
from typing import Any

from leanformer.data import Examples
from leanformer.distill.ngrams import fit_ngrams
from leanformer.runtime.systems.hashed_ngrams import HashedNgrams
from leanformer.search.contest import Contest
from leanformer.search.entrants.fitted import enter_fitted
from leanformer.search.entry import NGRAMS, whole_teacher
from leanformer.search.judged import judge_system

_MOST = 20_000  # texts without labels that the teacher answers for them
_SHARE = 0.05  # of the time of a search, that it may take
_FIFTH = 5


def enter_ngrams(contest: Contest, folder: Path) -> None:
    """Fit n-grams on the training texts, and on what the teacher says of texts without labels.

    Args:
        contest: The contest, whose teacher and baselines have entered.
        folder: Where they are saved.
    """
    about = contest.dataset.task.about
    if not contest.graphs or about.output == "vector" or contest.request.portable:
        return
    enter_fitted(contest, NGRAMS, "candidate", folder, lambda: fit_taught(contest))


def fit_taught(contest: Contest) -> HashedNgrams:
    """N-grams for a contest, which texts without labels have taught too if that helps.

    Raises:
        ValueError: There is one class only, or there are no words.
    """
    train, task, texts = contest.dataset.train, contest.dataset.task, contest.dataset.unlabelled
    if texts is None or not len(texts) or task.about.reads_words:
        return fit_ngrams(train, task)
    teacher = whole_teacher(contest.entries)
    seconds = _SHARE * 60 * contest.request.minutes
    most = min(_MOST, len(texts), round(seconds / contest.seconds[teacher.name]))
    texts = texts.take(list(range(most)))
    contest.tell(f"the teacher answers {len(texts)} texts without labels")
    answers = teacher.open().answer(texts.texts, texts.pairs)
    taught: dict[str, Any] = {"unlabelled": texts, "answers": answers}
    return fit_ngrams(train, task, **taught) if _helps(contest, taught) else fit_ngrams(train, task)


def hold_out_fifth(train: Examples) -> tuple[Examples, Examples]:
    """Four fifths of the training texts, and every fifth text: each class in both, also where texts
    are in the order of their labels."""
    fifth = [index for index in range(len(train)) if index % _FIFTH == 0]
    others = [index for index in range(len(train)) if index % _FIFTH]
    return train.take(others), train.take(fifth)


def _helps(contest: Contest, taught: dict[str, Any]) -> bool:
    """Whether n-grams that are taught by four fifths of train and by the texts without labels
    answer the last fifth better than without these."""
    task = contest.dataset.task
    others, fifth = hold_out_fifth(contest.dataset.train)

    def quality(**more: Any) -> float:
        return judge_system(fit_ngrams(others, task, **more), fifth, task).quality

    try:
        alone = quality()
    except ValueError:  # so few texts that the rest has one class
        return True
    found = quality(**taught)
    contest.record.write("unlabelled", name=NGRAMS, alone=alone, taught=found)
    return found > alone
