"""One shot: everything is removed at once, and the rest of the training recovers quality."""

from leanformer.core.ranges import PartialShare
from leanformer.core.technique import technique
from leanformer.prune.schedule import Schedule


@technique("one-shot", paper="Han et al. 2015, arXiv:1506.02626")
class OneShot(Schedule):
    """Remove everything at one step, and train the remaining weights."""

    at: PartialShare = 0.0
    """Share of the steps before it; criteria that need gradients need more than 0."""

    def progress(self, share: float) -> float:
        """See `Schedule.progress`."""
        return float(share >= self.at)
