"""Every saliency there is."""

from leanformer.prune.saliencies.brain_damage import BrainDamage
from leanformer.prune.saliencies.brain_surgeon import BrainSurgeon
from leanformer.prune.saliencies.hard_concrete import HardConcrete
from leanformer.prune.saliencies.movement import Movement
from leanformer.prune.saliencies.random_weights import RandomWeights
from leanformer.prune.saliencies.soft_movement import SoftMovement
from leanformer.prune.saliencies.weight_magnitude import WeightMagnitude
from leanformer.prune.saliencies.weight_taylor import WeightTaylor

__all__ = [
    "BrainDamage",
    "BrainSurgeon",
    "HardConcrete",
    "Movement",
    "RandomWeights",
    "SoftMovement",
    "WeightMagnitude",
    "WeightTaylor",
]
