"""Every objective there is."""

from leanformer.distill.objectives.cosine import Cosine
from leanformer.distill.objectives.hidden_states import HiddenStates
from leanformer.distill.objectives.labels import Labels
from leanformer.distill.objectives.logits import Logits
from leanformer.distill.objectives.soft_targets import SoftTargets

__all__ = ["Cosine", "HiddenStates", "Labels", "Logits", "SoftTargets"]
