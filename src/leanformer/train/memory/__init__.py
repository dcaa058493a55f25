"""Every way to train in less memory."""

from leanformer.train.memory.chunked_cross_entropy import ChunkedCrossEntropy
from leanformer.train.memory.interface import MemorySaver

__all__ = ["ChunkedCrossEntropy", "MemorySaver"]
