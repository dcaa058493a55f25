"""What of two models' attention can be compared: real queries with the real keys that both see.

A local layer beside a global one sees less; it is compared in what it sees.

Legend: B batch, T token, S key token.
"""

from collections.abc import Sequence

from torch import Tensor

from leanformer.models.attended import Attended


def visible(student: Attended, teacher: Attended, keep_BT: Tensor) -> Tensor:
    """[B, T, S] True where a real query may look at a real key, in both models."""
    seen = keep_BT.unsqueeze(2) & keep_BT.unsqueeze(1)
    for layer in (student, teacher):
        if layer.allowed is not None:
            seen = seen & layer.allowed[:, 0]
    return seen


def check_heads(
    student: Sequence[int], teacher: Sequence[int], pairs: Sequence[tuple[int, int]], remedy: str
) -> None:
    """Whether the layers that are compared have as many heads.

    Args:
        student: Heads of each of the student's layers.
        teacher: Heads of each of the teacher's layers.
        pairs: (student layer, teacher layer) that are compared.
        remedy: What the message tells to do.

    Raises:
        ValueError: They have not.
    """
    for ours, theirs in pairs:
        if student[ours] != teacher[theirs]:
            raise ValueError(
                f"heads: layer {ours} of the student has {student[ours]} and layer {theirs} of "
                f"the teacher {teacher[theirs]}, but they are compared one by one; {remedy}"
            )


def heads_of(layers: Sequence[Attended]) -> list[int]:
    """How many heads each layer has."""
    return [layer.query.shape[1] for layer in layers]
