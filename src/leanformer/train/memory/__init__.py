"""Every way to train in less memory."""

from leanformer.train.memory.checkpoint_activations import CheckpointActivations
from leanformer.train.memory.chunked_cross_entropy import ChunkedCrossEntropy
from leanformer.train.memory.interface import MemorySaver
from leanformer.train.memory.offload_activations import OffloadActivations
from leanformer.train.memory.offload_optimizer import OffloadOptimizer
from leanformer.train.memory.swap_layers import SwapLayers

__all__ = [
    "CheckpointActivations",
    "ChunkedCrossEntropy",
    "MemorySaver",
    "OffloadActivations",
    "OffloadOptimizer",
    "SwapLayers",
]
