"""Which layer of the teacher each layer of the student is compared with.

*Layers* are counted 0..L-1. *Levels* are the hidden states around them, 0..L: level 0 is the
embedding output and level l+1 the output of layer l. M student and N teacher layers:

    levels          round(m N / M)              m = 0..M
    uniform         round((m+1) N / M) - 1      m = 0..M-1; the layers that end at these levels
    last-of-block   m k + k - 1                 k = N / M, which must be whole (TinyBERT)
    skip            m k + k - 1                 k = floor(N / M): every k-th from below (PKD-skip)
    last            N - M + m                   the top M (PKD-last)

Where M divides N, the first three name the same layers. PKD itself compares all pairs but the last.
"""

from collections.abc import Sequence
from typing import Literal

LayerMap = Literal["uniform", "last-of-block", "skip", "last"]


def uniform_levels(student_layers: int, teacher_layers: int) -> list[int]:
    """For each student level 0..M the teacher level at the same share of the depth."""
    return [round(level * teacher_layers / student_layers) for level in range(student_layers + 1)]


def level_map(levels: Sequence[int] | None, student_layers: int, teacher_layers: int) -> list[int]:
    """The teacher level for each student level 0..M; None = evenly spread.

    Raises:
        ValueError: `levels` does not fit the two depths.
    """
    if levels is None:
        return uniform_levels(student_layers, teacher_layers)
    if len(levels) != student_layers + 1 or not all(0 <= x <= teacher_layers for x in levels):
        raise ValueError(
            f"levels: {list(levels)} must name {student_layers + 1} teacher levels from 0 to "
            f"{teacher_layers}, one for the student's embeddings and each of its layers"
        )
    return list(levels)


def uniform(student_layers: int, teacher_layers: int) -> list[int]:
    """The teacher layer at the same share of the depth, for each student layer."""
    levels = uniform_levels(student_layers, teacher_layers)[1:]
    return [max(0, level - 1) for level in levels]  # a deeper student may ask for level 0


def last_of_block(student_layers: int, teacher_layers: int) -> list[int]:
    """The last layer of each block of N / M teacher layers.

    Raises:
        ValueError: The teacher's layers do not divide into blocks of equal size.
    """
    if teacher_layers % student_layers:
        raise ValueError(
            f"teacher_layers: last-of-block cannot cut {teacher_layers} teacher layers into "
            f"{student_layers} equal blocks; use 'uniform'"
        )
    return skip(student_layers, teacher_layers)


def skip(student_layers: int, teacher_layers: int) -> list[int]:
    """Every k-th teacher layer from below, k = floor(N / M).

    Raises:
        ValueError: The student is deeper than its teacher.
    """
    _check_depth("skip", student_layers, teacher_layers)
    step = teacher_layers // student_layers
    return [step * layer + step - 1 for layer in range(student_layers)]


def last(student_layers: int, teacher_layers: int) -> list[int]:
    """The top M teacher layers.

    Raises:
        ValueError: The student is deeper than its teacher.
    """
    _check_depth("last", student_layers, teacher_layers)
    return list(range(teacher_layers - student_layers, teacher_layers))


def layer_map(
    chosen: LayerMap | Sequence[int], student_layers: int, teacher_layers: int
) -> list[int]:
    """The teacher layer for each student layer 0..M-1, by the name of a map or as given.

    Raises:
        ValueError: There is no such map, or it does not fit the two depths.
    """
    maps = {"uniform": uniform, "last-of-block": last_of_block, "skip": skip, "last": last}
    if isinstance(chosen, str):
        if chosen not in maps:
            raise ValueError(f"teacher_layers: {chosen!r} is not one of {', '.join(maps)}")
        return maps[chosen](student_layers, teacher_layers)
    if len(chosen) != student_layers or not all(0 <= layer < teacher_layers for layer in chosen):
        raise ValueError(
            f"teacher_layers: {list(chosen)} must name {student_layers} teacher layers from 0 to "
            f"{teacher_layers - 1}, one for each layer of the student"
        )
    return list(chosen)


def layer_pairs(
    layers: Sequence[int] | None,
    teacher_layers: LayerMap | Sequence[int],
    student_depth: int,
    teacher_depth: int,
) -> list[tuple[int, int]]:
    """(student layer, teacher layer) for each student layer in `layers`; None = for all.

    Raises:
        ValueError: The student does not have these layers, or the map does not fit.
    """
    mapped = layer_map(teacher_layers, student_depth, teacher_depth)
    if layers is None:
        return list(enumerate(mapped))
    fits = all(0 <= layer < student_depth for layer in layers)
    if not layers or not fits or len(set(layers)) < len(layers):
        raise ValueError(
            f"layers: {list(layers)} must name one or more of the student's layers 0 to "
            f"{student_depth - 1}, each once; leave it out for all"
        )
    return [(layer, mapped[layer]) for layer in layers]


def _check_depth(name: str, student_layers: int, teacher_layers: int) -> None:
    if student_layers > teacher_layers:
        raise ValueError(
            f"teacher_layers: {name} cannot serve {student_layers} student layers with "
            f"{teacher_layers} of the teacher; use 'uniform'"
        )
