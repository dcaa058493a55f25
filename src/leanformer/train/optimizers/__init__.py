"""Every optimizer there is."""

from leanformer.train.optimizers.adamw import AdamW
from leanformer.train.optimizers.lamb import Lamb
from leanformer.train.optimizers.lars import Lars
from leanformer.train.optimizers.sgd import Sgd

__all__ = ["AdamW", "Lamb", "Lars", "Sgd"]
