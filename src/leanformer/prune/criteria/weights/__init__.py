"""All criteria for single weights."""

from leanformer.prune.criteria.weights.brain_damage import BrainDamage
from leanformer.prune.criteria.weights.brain_surgeon import BrainSurgeon
from leanformer.prune.criteria.weights.hard_concrete import HardConcrete
from leanformer.prune.criteria.weights.movement import Movement
from leanformer.prune.criteria.weights.random_weights import RandomWeights
from leanformer.prune.criteria.weights.soft_movement import SoftMovement
from leanformer.prune.criteria.weights.weight_magnitude import WeightMagnitude
from leanformer.prune.criteria.weights.weight_taylor import WeightTaylor

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
