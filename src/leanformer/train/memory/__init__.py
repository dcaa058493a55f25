"""Every way to train in less memory."""

from leanformer.train.memory.checkpoint_activations import CheckpointActivations
from leanformer.train.memory.chunked_cross_entropy import ChunkedCrossEntropy
from leanformer.train.memory.interface import MemorySaver

__all__ = ["CheckpointActivations", "ChunkedCrossEntropy", "MemorySaver"]
