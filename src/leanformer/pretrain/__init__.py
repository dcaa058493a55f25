"""Pre-training of masked and causal language models: a recipe, from texts to a model folder."""

from leanformer.pretrain.architectures import Architecture
from leanformer.pretrain.recipe import NewTokenizer, Pretraining, Samples, described, read
from leanformer.pretrain.running import Outcome, begin, run

__all__ = [
    "Architecture",
    "NewTokenizer",
    "Outcome",
    "Pretraining",
    "Samples",
    "begin",
    "described",
    "read",
    "run",
]
