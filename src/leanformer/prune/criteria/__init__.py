"""Every criterion there is."""

from leanformer.prune.criteria.activation import Activation
from leanformer.prune.criteria.magnitude import Magnitude
from leanformer.prune.criteria.taylor import Taylor

__all__ = ["Activation", "Magnitude", "Taylor"]
