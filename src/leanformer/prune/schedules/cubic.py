"""Gradual pruning: fast while many weights are superfluous, slow towards the end.

    s_t = s_f + (s_i - s_f) (1 - u)^3        u: 0 until `hold` ends, 1 from where `cool` begins

During `hold` nothing is removed; during `cool` the mask is final and the kept weights recover.
"""

from leanformer.core.ranges import PartialShare
from leanformer.core.technique import technique
from leanformer.prune.schedule import Schedule


@technique("cubic", paper="Zhu & Gupta 2017, arXiv:1710.01878")
class Cubic(Schedule):
    """Remove gradually between a hold and a cool-down: the usual choice."""

    hold: PartialShare = 0.1
    """Share of the steps before the removal begins."""
    cool: PartialShare = 0.3
    """Share of the steps after the removal has ended."""

    def __post_init__(self) -> None:
        whole = self.hold + self.cool
        if whole >= 1:
            raise ValueError(f"hold + cool: {whole:g} leaves no step to prune in")

    def progress(self, share: float) -> float:
        """See `Schedule.progress`."""
        passed = (share - self.hold) / (1 - self.hold - self.cool)
        return 1 - (1 - min(max(passed, 0.0), 1.0)) ** 3
