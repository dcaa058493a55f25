"""Matryoshka: the first coordinates of a vector are a good vector too.

    L = sum over widths d of  c_d  L_objective(first d coordinates)

The whole vector counts too. Whoever stores vectors may then cut them to one of the widths (and
bring them to length one again) and loses little. The model's description keeps the widths
(`sentence_embedding.widths` in config.json): a server offers them as `dimensions`.

Legend: D width.
"""

from torch import Tensor, nn

from leanformer.core.ranges import Count, NotNegative
from leanformer.core.technique import technique
from leanformer.retrieve.objectives.in_batch_negatives import InBatchNegatives
from leanformer.retrieve.objectives.interface import Columns, VectorObjective


@technique("matryoshka", paper="Kusupati et al. 2022, arXiv:2205.13147")
class Matryoshka(VectorObjective):
    """Train prefixes of the vector by any objective: for vectors that are cut to save memory."""

    objective: VectorObjective = InBatchNegatives()
    """What the whole vector and each prefix are trained by."""
    widths: tuple[Count, ...] = (64, 128, 256)
    """Coordinates of the prefixes; the whole vector is trained too."""
    weights: tuple[NotNegative, ...] = ()
    """Factor of each prefix, in the order of `widths`; () = 1 each, as that of the whole vector."""

    def __post_init__(self) -> None:
        if isinstance(self.objective, Matryoshka):
            raise ValueError("objective: matryoshka in matryoshka trains every prefix twice")
        if not self.widths:
            raise ValueError("widths: none is named; leave matryoshka out, or name some: [64, 128]")
        if len(set(self.widths)) < len(self.widths):
            raise ValueError(f"widths: {list(self.widths)} names one twice; name each once")
        if self.weights and len(self.weights) != len(self.widths):
            raise ValueError(
                f"weights: {len(self.weights)} for {len(self.widths)} widths; give one each"
            )

    @property
    def rising(self) -> tuple[int, ...]:
        """The widths from the least to the largest."""
        return tuple(sorted(self.widths))

    @property
    def described(self) -> VectorObjective:
        """See `VectorObjective.described`."""
        return self.objective

    def build(self, width: int, classes: int) -> nn.Module:
        """One module per width, the whole vector's first.

        Raises:
            ValueError: A prefix is not shorter than the vector.
        """
        for index, one in enumerate(self.widths):
            if one >= width:
                raise ValueError(
                    f"widths[{index}]: {one} is not below {width}, the width of the vector"
                )
        return _Matryoshka(self.objective, (width, *self.widths), self.weights, classes)


class _Matryoshka(nn.Module):
    def __init__(
        self,
        objective: VectorObjective,
        widths: tuple[int, ...],
        weights: tuple[float, ...],
        classes: int,
    ) -> None:
        super().__init__()
        self.widths = widths
        self.weights = (1.0, *(weights or (1.0,) * (len(widths) - 1)))
        self.each = nn.ModuleList(objective.build(width, classes) for width in widths)

    @property
    def whole(self) -> nn.Module:
        """The module of the whole vector."""
        return self.each[0]

    def forward(self, columns: Columns) -> Tensor:
        parts = [
            weight * module(columns.prefix(width))
            for module, width, weight in zip(self.each, self.widths, self.weights, strict=True)
        ]
        total: Tensor = sum(parts[1:], parts[0])
        return total
