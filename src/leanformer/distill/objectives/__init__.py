"""Every objective there is."""

from leanformer.distill.objectives.attention_maps import AttentionMaps
from leanformer.distill.objectives.attention_scores import AttentionScores
from leanformer.distill.objectives.cosine import Cosine
from leanformer.distill.objectives.embeddings import Embeddings
from leanformer.distill.objectives.feature_maps import FeatureMaps
from leanformer.distill.objectives.hidden_states import HiddenStates
from leanformer.distill.objectives.jensen_shannon import JensenShannon
from leanformer.distill.objectives.labels import Labels
from leanformer.distill.objectives.last_hidden import LastHidden
from leanformer.distill.objectives.logits import Logits
from leanformer.distill.objectives.relations import Relations
from leanformer.distill.objectives.reverse_kl import ReverseKl
from leanformer.distill.objectives.soft_targets import SoftTargets
from leanformer.distill.objectives.vectors import Vectors

__all__ = [
    "AttentionMaps",
    "AttentionScores",
    "Cosine",
    "Embeddings",
    "FeatureMaps",
    "HiddenStates",
    "JensenShannon",
    "Labels",
    "LastHidden",
    "Logits",
    "Relations",
    "ReverseKl",
    "SoftTargets",
    "Vectors",
]
