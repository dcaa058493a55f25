"""Which index: recall against the exact answer, efforts tuned to it, candidates side by side."""

from leanformer.retrieve.indexes.advice.advise import Advice, Candidate, advise
from leanformer.retrieve.indexes.advice.recall import Truth, measure_recall, true_answers
from leanformer.retrieve.indexes.advice.tuning import Tuned, tune

__all__ = [
    "Advice",
    "Candidate",
    "Truth",
    "Tuned",
    "advise",
    "measure_recall",
    "true_answers",
    "tune",
]
