"""Where text comes from, what is asked of it, and how it becomes batches."""

from leanformer.data.encode import Batch, Encoded, Words, by_length, encode_examples
from leanformer.data.source import Source
from leanformer.data.task import IGNORE, Dataset, Examples, Kind, Task

__all__ = [
    "IGNORE",
    "Batch",
    "Dataset",
    "Encoded",
    "Examples",
    "Kind",
    "Source",
    "Task",
    "Words",
    "by_length",
    "encode_examples",
]
