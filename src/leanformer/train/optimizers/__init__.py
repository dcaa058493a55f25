"""Every optimizer there is."""

from leanformer.train.optimizers.adamw import AdamW
from leanformer.train.optimizers.sgd import Sgd

__all__ = ["AdamW", "Sgd"]
