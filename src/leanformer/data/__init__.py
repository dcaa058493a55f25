"""Where text comes from, what is asked of it, and how it becomes batches."""

from leanformer.data.encode import Batch, Encoded, Words, by_length, encode_examples
from leanformer.data.source import Source
from leanformer.data.task import Dataset, Examples, Task
from leanformer.tasks import IGNORE

__all__ = [
    "IGNORE",
    "Batch",
    "Dataset",
    "Encoded",
    "Examples",
    "Source",
    "Task",
    "Words",
    "by_length",
    "encode_examples",
]
