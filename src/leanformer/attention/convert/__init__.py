"""Checkpoints of models that keep their own attention, on our kernels."""

from leanformer.attention.convert.convert import Converted, convert

__all__ = ["Converted", "convert"]
