"""Which layers of the teacher a student begins with.

    published   evenly spread, first and last included:  round(m (N-1) / (M-1)),  m = 0..M-1
                    12 -> 6 gives [0, 2, 4, 7, 9, 11], what DistilBERT's own script copies
    every       every k-th from the first:  floor(m N / M);  12 -> 6 gives [0, 2, 4, 6, 8, 10]
    bottom      the first M

M student and N teacher layers.
"""

from typing import Literal

from leanformer.models.cutting.selection import chosen

Pick = Literal["published", "bottom", "every"]


def pick_layers(layers: int | tuple[int, ...] | None, pick: Pick, total: int) -> list[int]:
    """Layers of the teacher, ascending, one for each layer of the student.

    Args:
        layers: How many, or which; None = half of them, rounded up.
        pick: How the layers of a number are chosen.
        total: How many layers the teacher has.

    Raises:
        ValueError: The teacher does not have these layers.
    """
    if isinstance(layers, tuple):
        return chosen(layers, total, "layer", "layers: ")
    count = (total + 1) // 2 if layers is None else layers
    if not 1 <= count <= total:
        raise ValueError(
            f"layers: {count} cannot be taken from a teacher of {total}; ask for 1 to {total}"
        )
    if pick == "bottom":
        return list(range(count))
    if pick == "every":
        return [number * total // count for number in range(count)]
    gaps = max(count - 1, 1)
    return [(2 * number * (total - 1) + gaps) // (2 * gaps) for number in range(count)]
