"""The interface of pruning schedules: how much is removed by when."""

from abc import ABC, abstractmethod
from typing import ClassVar


class Schedule(ABC):
    """Says how much is removed at each step of a training."""

    family: ClassVar[str] = "pruning-schedule"

    @abstractmethod
    def progress(self, share: float) -> float:
        """The share of the final sparsity that is reached after `share` of the steps, from 0 to 1.

        It never falls, and it is 1 at the end.
        """


def check_shares(**shares: float) -> None:
    """Refuse shares of a training that leave no step to prune in.

    Raises:
        ValueError: One is not in [0, 1), or they add up to 1 or more; the message names the first.
    """
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name}: {share} is not a share of the steps in [0, 1)")
    if sum(shares.values()) >= 1:
        whole = " + ".join(shares)
        raise ValueError(f"{whole}: {sum(shares.values()):g} leaves no step to prune in")
