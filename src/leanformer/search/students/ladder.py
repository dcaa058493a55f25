"""The ladder of students: from nearly the teacher to a sliver of it, each faster than the last.

    L5-h100-f100   five layers, all heads and FFN neurons      L3-h50-f25   half of the heads, a
                                                                            quarter of the neurons

Which of two shapes is faster depends on the machine: half of the FFN neurons saves less time than
half of the layers, since norms and attention stay. So the rungs are put in order by what their
layers were measured to take (`search.students.layer_times`), and one that is not faster than
another of more weights is left out. Without measures, matrix products decide.
"""

from collections.abc import Mapping, Sequence
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

    @property
    def widths(self) -> tuple[float, float]:
        """Shares of heads and of FFN neurons: what the time of one layer depends on."""
        return self.heads, self.ffn

    @property
    def portable(self) -> bool:
        """Whether transformers loads it without leanformer: configurations of most families state
        how many layers and FFN neurons there are, but derive the width of a head from the number
        of heads."""
        return self.heads == 1


Times = Mapping[tuple[float, float], float]
"""Seconds per layer, by `Rung.widths`."""

_SHAPES = (  # share of layers, of heads, of FFN neurons
    (Fraction(5, 6), 1.0, 1.0),
    (Fraction(1), 1.0, 0.5),
    (Fraction(2, 3), 1.0, 1.0),
    (Fraction(5, 6), 1.0, 0.5),
    (Fraction(1), 0.5, 0.5),
    (Fraction(1, 2), 1.0, 1.0),
    (Fraction(2, 3), 1.0, 0.5),
    (Fraction(1, 2), 1.0, 0.5),
    (Fraction(2, 3), 0.5, 0.5),
    (Fraction(1, 2), 0.5, 0.5),
    (Fraction(1, 3), 1.0, 0.5),
    (Fraction(1, 3), 0.5, 0.5),
    (Fraction(1, 3), 0.5, 0.25),
    (Fraction(1, 6), 0.5, 0.5),
)
WIDTHS = tuple(dict.fromkeys([(1.0, 1.0), *((heads, ffn) for _, heads, ffn in _SHAPES)]))
"""All widths of layers that occur, those of the whole encoder first."""
_FASTER = 0.97  # of the time of the one before, for a rung that is worth having
_FIRST = ((0.99, 0.55), (0.97, 0.4))  # share of quality asked, least share of the layers' products
_FARTHEST = 1 / 3  # of the layers' products: what the teacher itself is cut to


def ladder(
    layers: int, *, whole: bool = False, portable: bool = False, times: Times | None = None
) -> list[Rung]:
    """The rungs, the largest first, each faster than the one before and of no more weights.

    Args:
        layers: Layers of the encoder that students are cut from.
        whole: Begin with the whole encoder, where it is another one than the teacher.
        portable: Only rungs that transformers loads without leanformer.
        times: Seconds per layer of each width, as measured; None = matrix products decide.
    """
    candidates = [
        Rung(layers=max(1, round(layers * depth)), heads=heads, ffn=ffn)
        for depth, heads, ffn in _SHAPES
    ]
    candidates = [one for one in dict.fromkeys(candidates) if one.cost < layers]
    if portable:
        candidates = [one for one in candidates if one.portable]
    rungs = [Rung(layers=layers, whole=True)] if whole else []
    fastest = time_of(Rung(layers=layers), times)
    for rung in sorted(candidates, key=lambda one: (-one.cost, time_of(one, times))):
        taken = time_of(rung, times)
        if taken < _FASTER * fastest:
            rungs.append(rung)
            fastest = taken
    return rungs


def time_of(rung: Rung, times: Times | None) -> float:
    """What the layers of a rung take: seconds where layers were measured, else its products."""
    return rung.cost if times is None else rung.layers * times[rung.widths]


def first_place(rungs: Sequence[Rung], layers: int, keep: float) -> int:
    """Where in the ladder to begin: the fastest rung that is likely to keep what is asked.

        keep >= 0.99   at least 55 % of the layers' products, e.g. 5 of 6 layers with half the FFN
        keep >= 0.97   at least 40 %, e.g. 4 of 6 layers with half the FFN
        less           at least a third, e.g. 3 of 6 layers with half the FFN

    Nothing smaller is cut from the teacher at once: a sliver that is cut from a student of half the
    layers keeps more (docs/results/pruning.md: 90 % against 75 % on RTE), so smaller rungs come
    after larger ones and begin from them.

    Args:
        rungs: The largest first; not empty.
        layers: Layers of the encoder that students are cut from.
        keep: Share of the teacher's quality that is asked for.
    """
    least = next((share for asked, share in _FIRST if keep >= asked), _FARTHEST)
    near = [place for place, rung in enumerate(rungs) if rung.cost >= layers * least - 1e-9]
    return max(near, default=0)


def first_behind(
    rungs: Sequence[Rung],
    layers: int,
    keep: float,
    shares: Sequence[tuple[float, float]],
    times: Times | None = None,
) -> int:
    """Where in the ladder to begin where n-grams pass a share of the texts on to the student.

        least that a student keeps of them = 1 - (kept - keep) / share

    The more texts are passed on, the more is kept if the teacher answers them, and the more a
    student may lose; but the more texts it has to answer. The rung is that of the share at which
    the student's part of the time is least.

    Args:
        rungs: The largest first; not empty.
        layers: Layers of the encoder that students are cut from.
        keep: Share of the teacher's quality that is asked for.
        shares: Shares of texts that are passed on, each with the quality that is kept for sure if
            the teacher answers these.
        times: Seconds per layer of each width; None = matrix products decide.
    """
    found = [(1.0, first_place(rungs, layers, keep))]
    found += [
        (share, first_place(rungs, layers, 1 - (kept - keep) / share))
        for share, kept in shares
        if kept >= keep and share > 0
    ]
    return min(found, key=lambda one: one[0] * time_of(rungs[one[1]], times))[1]


def epochs_share(rung: Rung, start: Rung | None, layers: int) -> float:
    """The share of a whole training that a student needs: more, the more is cut.

        1/6 of the products cut -> 1/3      1/3 -> 2/3      half or more -> 1

    Args:
        rung: What is made.
        start: The student that it begins from; None = the encoder, which knows the task unless
            the rung is the whole of another encoder.
        layers: Layers of the encoder.
    """
    if rung.whole:
        return 1.0
    cut = 1 - rung.cost / (start.cost if start else layers)
    return min(1.0, max(_LEAST_SHARE, 2 * cut))


_LEAST_SHARE = 0.25
