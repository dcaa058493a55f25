"""One shot: everything goes at once, and the rest of the training repairs."""

from leanformer.core.technique import technique
from leanformer.prune.schedule import Schedule, check_shares


@technique("one-shot", paper="Han et al. 2015, arXiv:1506.02626")
class OneShot(Schedule):
    """Remove everything at one moment, and train what is left."""

    at: float = 0.0
    """Share of the steps before it; what needs gradients needs some."""

    def __post_init__(self) -> None:
        check_shares(at=self.at)

    def progress(self, share: float) -> float:
        """See `Schedule.progress`."""
        return float(share >= self.at)
