"""The interface of augmentation: more texts for a teacher to label, made of those there are."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from leanformer.data import Examples


class Augmentation(ABC):
    """Makes texts of texts."""

    family: ClassVar[str] = "augmentation"

    @abstractmethod
    def augment(
        self, examples: Examples, tokenizer: Any, embeddings_VD: Tensor, seed: int
    ) -> Examples:
        """New unlabelled examples of the form of `examples`, the same for the same seed."""
