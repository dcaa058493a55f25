"""The ladder of students: from nearly the teacher to a sliver of it, each faster than the last.

Depth is cut first (time falls with it exactly), then FFN neurons, then heads; a rung is tried by
training it.
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class Rung:
    """The shape of one student, as shares of the encoder that it is cut from.

    Attributes:
        layers: Layers kept.
        heads: Share of the heads of each layer.
        ffn: Share of the FFN neurons of each layer.
        whole: Whether nothing is cut.
    """

    layers: int
    heads: float = 1.0
    ffn: float = 1.0
    whole: bool = False

    @property
    def name(self) -> str:
        """How records call it, e.g. L3-h50-f25."""
        return f"L{self.layers}-h{round(100 * self.heads)}-f{round(100 * self.ffn)}"

    @property
    def cost(self) -> float:
        """Matrix products of the layers, in units of one whole layer (attention 1/3, FFN 2/3)."""
        return self.layers * (self.heads / 3 + 2 * self.ffn / 3)


_SHAPES = (  # share of layers, of heads, of FFN neurons
    (Fraction(2, 3), 1.0, 1.0),
    (Fraction(1, 2), 1.0, 1.0),
    (Fraction(1, 2), 1.0, 0.5),
    (Fraction(1, 2), 0.5, 0.5),
    (Fraction(1, 3), 0.5, 0.5),
    (Fraction(1, 3), 0.5, 0.25),
    (Fraction(1, 6), 0.5, 0.5),
)


def ladder(layers: int, *, whole: bool = False) -> list[Rung]:
    """The rungs, the largest first, each with less work than the one before.

    Args:
        layers: Layers of the encoder that students are cut from.
        whole: Begin with the whole encoder, where it is another one than the teacher.
    """
    rungs = [Rung(layers=layers, whole=True)] if whole else []
    for depth, heads, ffn in _SHAPES:
        rung = Rung(layers=max(1, round(layers * depth)), heads=heads, ffn=ffn)
        smaller = not rungs or rung.cost < rungs[-1].cost
        if smaller and rung.cost < layers:
            rungs.append(rung)
    return rungs
