"""Where text comes from, what is asked of it, and how it becomes batches.

What makes tensors is imported at first use: reading files and answering texts need no torch.
"""

from typing import TYPE_CHECKING, Any

from leanformer.data.source import Source
from leanformer.data.task import Dataset, Examples, Task
from leanformer.tasks import IGNORE

if TYPE_CHECKING:
    from leanformer.data.encode import Batch, Encoded, Words, by_length, encode_examples

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


def __getattr__(name: str) -> Any:
    """Names of `encode`, imported at first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from leanformer.data import encode

    return getattr(encode, name)
