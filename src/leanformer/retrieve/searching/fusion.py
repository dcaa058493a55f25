"""The interface of fusion: several rankings of the same texts become one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar


class Fusion(ABC):
    """Joins rankings whose scores cannot be compared, such as those of BM25 and of an encoder."""

    family: ClassVar[str] = "fusion"

    @abstractmethod
    def fuse(self, rankings: Sequence[Sequence[str]]) -> dict[str, float]:
        """A score per text, the best first.

        Args:
            rankings: Lists of keys, each with the best text first.

        Returns:
            Key -> score; of equal scores the key that was ranked first comes first.
        """
