"""Gradual pruning: fast while many weights are superfluous, slow towards the end.

    s_t = s_f + (s_i - s_f) (1 - u)^3        u: 0 until `hold` ends, 1 from where `cool` begins

During `hold` nothing is removed; during `cool` the mask is final and the kept weights recover.
"""

from leanformer.core.technique import technique
from leanformer.prune.schedule import Schedule, check_shares


@technique("cubic", paper="Zhu & Gupta 2017, arXiv:1710.01878")
class Cubic(Schedule):
    """Remove gradually between a hold and a cool-down: the usual choice."""

    hold: float = 0.1
    """Share of the steps before the removal begins."""
    cool: float = 0.3
    """Share of the steps after the removal has ended."""

    def __post_init__(self) -> None:
        check_shares(hold=self.hold, cool=self.cool)

    def progress(self, share: float) -> float:
        """See `Schedule.progress`."""
        passed = (share - self.hold) / (1 - self.hold - self.cool)
        return 1 - (1 - min(max(passed, 0.0), 1.0)) ** 3
