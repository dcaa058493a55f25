"""The least effort that reaches a recall: doubled until it is enough, then bisected.

e = 1, 2, 4, … until recall(e) ≥ target, then between e/2 and e until they are 5 % apart
"""

from dataclasses import dataclass

from leanformer.core.ranges import Share, check_number
from leanformer.retrieve.indexes.advice.recall import Truth
from leanformer.retrieve.indexes.interface import BuiltIndex

_CLOSE = 1.05  # efforts whose ratio is at most this are not told apart


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """An index with the least effort that reaches a recall, or with its most effort.

    Attributes:
        index: The index.
        recall: What it reaches, on the queries that it was tuned on.
        met: Whether that is the target.
    """

    index: BuiltIndex
    recall: float
    met: bool


def tune(index: BuiltIndex, truth: Truth, target_recall: float = 0.95) -> Tuned:
    """Find the least effort with which `index` reaches the target.

    Args:
        index: Any built index; nothing of it is copied.
        truth: Queries and their exact answers.
        target_recall: Share of the k best rows that are to be found.

    Raises:
        ValueError: The target is not a share.
    """
    check_number(Share, target_recall, "target_recall")
    least, most = index.efforts
    below, effort = least - 1, least
    while True:
        found = _at(index, effort, truth, target_recall)
        if found.met or effort >= most:
            break
        below, effort = effort, min(2 * effort, most)
    if not found.met:
        return found
    while effort - below > 1 and effort > _CLOSE * max(below, 1):
        middle = (below + effort) // 2
        tried = _at(index, middle, truth, target_recall)
        if tried.met:
            effort, found = middle, tried
        else:
            below = middle
    return found


def _at(index: BuiltIndex, effort: int, truth: Truth, target: float) -> Tuned:
    made = index.with_effort(effort)
    recall = truth.recall(made)
    return Tuned(index=made, recall=recall, met=recall >= target)
