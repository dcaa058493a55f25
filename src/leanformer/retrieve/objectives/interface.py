"""The interface of objectives on vectors: what texts that belong together are moved by.

A row of the training data is a tuple of texts: an anchor, the text that belongs to it (or is
compared with it), and any number of negatives. Each different text of a batch has one vector;
tuples say which of them are theirs:

    pooled_UD        one vector per text, before it is brought to length one
    places_BC        the vector of each text of a tuple; -1 where a tuple has fewer negatives
    targets          what the data say of the tuple: a score, a class, or a teacher's scores

An objective is a frozen description; its `build` makes the module `Columns -> sum over tuples`,
because one of them holds parameters. The loss divides the sum by the number of tuples.

Legend: U text, D width, B tuple, C column (0 anchor, 1 positive, then negatives), K negative.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

Targets = Literal["none", "scores", "classes", "teacher"]
"""What the data must say of a tuple: nothing, a score from 0 to 1 [B], the index of a class [B], or
the score that a teacher gave to each text but the anchor [B, C - 1]."""


@dataclass(frozen=True)
class Columns:
    """The vectors of a batch, and which belong together.

    Attributes:
        pooled_UD: The vector of each different text, as pooled.
        places_BC: Which of them are a tuple's, -1 where there is none.
        targets: As `Targets` says, or None.
        excluded_BU: True where a text is not to count as a negative of a tuple: the anchor itself,
            and all that is known to belong to it. None where nobody asked.
        normalize: Whether the model's vectors have length one when it is served.
    """

    pooled_UD: Tensor
    places_BC: Tensor
    targets: Tensor | None = None
    excluded_BU: Tensor | None = None
    normalize: bool = True

    @property
    def vectors_UD(self) -> Tensor:
        """The vectors as they are served."""
        return F.normalize(self.pooled_UD, dim=-1) if self.normalize else self.pooled_UD

    @property
    def anchors_BD(self) -> Tensor:
        """The vector of each anchor, as it is served."""
        return self.vectors_UD[self.places_BC[:, 0]]

    @property
    def others_BKD(self) -> Tensor:
        """The vectors of the texts but the anchor, as they are served; `there_BK` says which are
        there.
        """
        return self.vectors_UD[self.places_BC[:, 1:].clamp(min=0)]

    @property
    def there_BK(self) -> Tensor:
        """True where a tuple has a text in a column but the anchor's."""
        return self.places_BC[:, 1:] >= 0

    def prefix(self, width: int) -> "Columns":
        """The same texts by the first `width` coordinates of their vectors."""
        return replace(self, pooled_UD=self.pooled_UD[:, :width])


class VectorObjective(ABC):
    """Moves the vectors of texts by what is known of them.

    Attributes:
        additive: Whether the sum over a batch is that over its parts; not so where tuples are
            compared with each other.
        targets: What the data must say of each tuple.
        needs_negatives: Whether every tuple needs a negative.
        asks_excluded: Whether it compares an anchor with texts of other tuples.
    """

    family: ClassVar[str] = "vector-objective"
    additive: ClassVar[bool] = True
    targets: ClassVar[Targets] = "none"
    needs_negatives: ClassVar[bool] = False
    asks_excluded: ClassVar[bool] = False

    @property
    def described(self) -> "VectorObjective":
        """The objective that says what the data need: itself, or the one that it wraps."""
        return self

    @abstractmethod
    def build(self, width: int, classes: int) -> nn.Module:
        """The module `Columns -> sum over tuples`, a scalar.

        Args:
            width: Width of a vector.
            classes: How many classes the data have; 0 = none.
        """
