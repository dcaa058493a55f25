"""Every objective on vectors there is."""

from leanformer.retrieve.objectives.cosent import Cosent
from leanformer.retrieve.objectives.cosine_score import CosineScore
from leanformer.retrieve.objectives.in_batch_negatives import InBatchNegatives
from leanformer.retrieve.objectives.interface import Columns, VectorObjective
from leanformer.retrieve.objectives.listwise_kl import ListwiseKl
from leanformer.retrieve.objectives.margin_mse import MarginMse
from leanformer.retrieve.objectives.matryoshka import Matryoshka
from leanformer.retrieve.objectives.pair_classification import PairClassification
from leanformer.retrieve.objectives.triplet import Triplet

__all__ = [
    "Columns",
    "Cosent",
    "CosineScore",
    "InBatchNegatives",
    "ListwiseKl",
    "MarginMse",
    "Matryoshka",
    "PairClassification",
    "Triplet",
    "VectorObjective",
]
