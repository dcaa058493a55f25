"""Every way to train in less memory."""

from leanformer.train.memory.interface import MemorySaver

__all__ = ["MemorySaver"]
