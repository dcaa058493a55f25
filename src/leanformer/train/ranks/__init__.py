"""The ranks of a training: how they meet, what they add up, and what the first one does alone."""

from leanformer.train.ranks.group import Ranks, count_ranks, join_ranks
from leanformer.train.ranks.leader import decide, lead

__all__ = ["Ranks", "count_ranks", "decide", "join_ranks", "lead"]
