"""One training loop, and what it is made of."""

from leanformer.train.course import Progress
from leanformer.train.loop import Hook, fit
from leanformer.train.loss import Loss, Supervised, Term, against_labels
from leanformer.train.setup import TrainSetup
from leanformer.train.state import Fitted

__all__ = [
    "Fitted",
    "Hook",
    "Loss",
    "Progress",
    "Supervised",
    "Term",
    "TrainSetup",
    "against_labels",
    "fit",
]

STEPS = (
    "steps.pretrain.Pretrain",
    "steps.finetune.Finetune",
)
"""What recipes may train a model for; see `leanformer.core.step`."""
