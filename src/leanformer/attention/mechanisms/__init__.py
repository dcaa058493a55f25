"""Every mechanism that is no pattern."""

from leanformer.attention.mechanisms.linear import Linear
from leanformer.attention.mechanisms.lsh import LSH
from leanformer.attention.mechanisms.performer import Performer
from leanformer.attention.mechanisms.performer_relu import PerformerRelu
from leanformer.attention.mechanisms.routing import Routing

__all__ = ["LSH", "Linear", "Performer", "PerformerRelu", "Routing"]
