"""A recipe that several ranks do: rank 0 decides and writes, the others train along.

    decide(find)    rank 0 finds something, every rank knows it
    lead(work)      rank 0 works, the others wait for it
    trains(step)    whether a step trains, which all ranks do together

An error of rank 0 is raised in all ranks, so that none waits for what does not come.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch.distributed as dist

from leanformer.core.ranks import follows
from leanformer.train.ranks import count_ranks, join_ranks
from leanformer.train.setup import TrainSetup

T = TypeVar("T")


def decide(find: Callable[[], T]) -> T:
    """What `find` gives in rank 0; it is called there alone, and what it gives is pickled.

    Raises:
        ValueError: It failed in rank 0; that rank raises its own error.
    """
    if count_ranks() == 1:
        return find()
    join_ranks()
    told: list[Any] = [None, ""]
    failed: Exception | None = None
    if not follows():
        try:
            told[0] = find()
        except Exception as error:
            failed, told[1] = error, str(error) or type(error).__name__
    dist.broadcast_object_list(told, src=0)
    if failed is not None:
        raise failed
    if told[1]:
        raise ValueError(told[1])
    value: T = told[0]
    return value


def lead(work: Callable[[], T]) -> T | None:
    """Work in rank 0 while the others wait.

    Returns:
        What it gave in rank 0; None in the others.

    Raises:
        ValueError: It failed in rank 0; that rank raises its own error.
    """
    found: list[T] = []
    decide(lambda: found.append(work()))
    return found[0] if found else None


def trains(step: Any) -> bool:
    """Whether a step trains a model, itself or by a step that it holds."""
    if isinstance(step, TrainSetup):
        return True
    return is_dataclass(step) and any(trains(getattr(step, one.name)) for one in fields(step))
