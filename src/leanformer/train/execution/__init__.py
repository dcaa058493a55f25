"""Who executes the steps of a training: one device, or later several."""

from leanformer.train.execution.execution import Execution
from leanformer.train.execution.one_device import OneDevice

__all__ = ["Execution", "OneDevice"]
