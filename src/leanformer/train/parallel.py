"""How a training is shared out among ranks: processes, each with a device of its own.

    parallel = { data = 4 }                                every rank holds everything
    parallel = { data = 4, zero = 1 }                      the optimizer's state is shared out
    parallel = { data = 4, zero = 2 }                      and the gradients
    parallel = { data = 4, zero = 3 }                      and the weights
    parallel = { data = 8, zero = 3, replicate = 2 }       2 groups of 4, each as above (hybrid)

What a rank holds of a model with P weights, in bytes, trained by Adam in fp32 over N ranks:

    zero 0    16 P             weights 4, gradients 4, two moments 8
    zero 1     8 P + 16 P/N    whole weights and gradients, beside the parts that are trained
    zero 2     4 P + 16 P/N    whole weights, and the gradients of the layer that is being computed
    zero 3    16 P/N           and the layer that is being computed

What a rank sends in a step of M microbatches, in numbers (of which it needs not send 1/N):

    zero 0, 1  2 P             zero 2  P + M P             zero 3  3 M P

Each of them gives the gradients that one process would have, whatever the number of ranks
(Rajbhandari et al. 2020, arXiv:1910.02054).
"""

from dataclasses import dataclass
from typing import Literal

from leanformer.core.ranges import Count, Index, ranged


@dataclass(frozen=True, kw_only=True)
@ranged
class Parallel:
    """How a training is shared out among the processes that `torchrun` started.

    Raises:
        ValueError: The fields do not go together; the message names plans that do.
    """

    data: Index = 0
    """Ranks that share the rows of each batch; 0 = all that were started."""
    zero: Literal[0, 1, 2, 3] = 0
    """What is shared out beside the rows: 0 nothing, 1 the optimizer's state, 2 also the gradients,
    3 also the weights."""
    replicate: Count = 1
    """Groups of ranks that each hold a whole copy of what is shared out: weights are gathered
    within a group alone, e.g. within a machine."""

    def __post_init__(self) -> None:
        if self.replicate > 1 and self.zero == 0:
            raise ValueError(
                "parallel: replicate counts groups that share out weights, gradients or the "
                "optimizer's state, and zero = 0 shares out none; set zero = 1, 2 or 3, or leave "
                "replicate out"
            )
        if self.data % self.replicate:
            raise ValueError(_uneven(self.data, self.replicate))

    def fitted(self, ranks: int) -> "Parallel":
        """The plan for `ranks` processes.

        Raises:
            ValueError: It is for another number of them; the message names the nearest plans.
        """
        if self.data not in (0, ranks):
            raise ValueError(
                f"parallel: data = {self.data}, and {_processes(ranks)}; start "
                f"`torchrun --nproc-per-node {self.data} -m leanformer ...`, or set "
                f"data = {ranks}{'' if ranks % self.replicate == 0 else ' and replicate = 1'}"
            )
        if ranks % self.replicate:
            raise ValueError(_uneven(ranks, self.replicate))
        return Parallel(data=ranks, zero=self.zero, replicate=self.replicate)


def _processes(ranks: int) -> str:
    return "one process runs" if ranks == 1 else f"{ranks} processes run"


def _uneven(ranks: int, groups: int) -> str:
    """What is wrong with so many groups, and which numbers of them are nearest."""
    fitting = [count for count in range(1, ranks + 1) if ranks % count == 0]
    below = max(count for count in fitting if count <= groups)
    above = min((count for count in fitting if count >= groups), default=below)
    nearest = " or ".join(str(count) for count in sorted({below, above}))
    return (
        f"parallel: {ranks} ranks do not fall into {groups} groups of one size; set "
        f"replicate = {nearest}, or data = {max(1, round(ranks / groups)) * groups}"
    )
