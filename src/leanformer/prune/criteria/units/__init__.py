"""All criteria for heads and neurons."""

from leanformer.prune.criteria.units.activation import Activation
from leanformer.prune.criteria.units.magnitude import Magnitude
from leanformer.prune.criteria.units.taylor import Taylor

__all__ = ["Activation", "Magnitude", "Taylor"]
