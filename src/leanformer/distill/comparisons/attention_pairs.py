"""Which attention scores of two models are compared: real queries with real keys, in both.

A local layer is compared with a global one at the keys that the local one attends to.

Legend: B batch, H head, T token, S key token.
"""

from collections.abc import Sequence

from torch import Tensor

from leanformer.models.attention.inputs import AttentionInputs


def visible(student: AttentionInputs, teacher: AttentionInputs, keep_BT: Tensor) -> Tensor:
    """[B, H or 1, T, S] True where a real query attends to a real key, in both models.

    Raises:
        ValueError: A mechanism attends in one of the layers and has no such mask.
    """
    seen = (keep_BT.unsqueeze(2) & keep_BT.unsqueeze(1)).unsqueeze(1)
    for layer in (student, teacher):
        mask = layer.mask()
        if mask is not None:
            seen = seen & mask
    return seen


def check_heads(
    student: Sequence[int], teacher: Sequence[int], pairs: Sequence[tuple[int, int]], remedy: str
) -> None:
    """Refuse layers with different numbers of heads.

    Args:
        student: Heads of each of the student's layers.
        teacher: Heads of each of the teacher's layers.
        pairs: (student layer, teacher layer) that are compared.
        remedy: What the message suggests.

    Raises:
        ValueError: Two compared layers have different numbers of heads.
    """
    for ours, theirs in pairs:
        if student[ours] != teacher[theirs]:
            raise ValueError(
                f"heads: layer {ours} of the student has {student[ours]} and layer {theirs} of "
                f"the teacher {teacher[theirs]}, but heads are compared one by one; {remedy}"
            )


def heads_of(layers: Sequence[AttentionInputs]) -> list[int]:
    """The number of heads of each layer."""
    return [layer.query.shape[1] for layer in layers]
