"""Every pruning schedule there is."""

from leanformer.prune.schedules.cubic import Cubic
from leanformer.prune.schedules.one_shot import OneShot
from leanformer.prune.schedules.rounds import Rounds

__all__ = ["Cubic", "OneShot", "Rounds"]
