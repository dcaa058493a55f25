"""Every mechanism that is no pattern."""

from leanformer.attention.mechanisms.lsh import LSH
from leanformer.attention.mechanisms.routing import Routing

__all__ = ["LSH", "Routing"]
