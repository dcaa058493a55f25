"""Projections: hidden states are compared in the teacher's width.

    W h^s + b    beside    h^t

The projection W, b is trained with the student and discarded afterwards; equal widths need none.
Objectives that compare directions or statistics of hidden states use none and need equal widths.
"""

from torch import nn

from leanformer.distill.objective import Dims


def projection(student: Dims, teacher: Dims) -> nn.Module:
    """A linear map from the student's width to the teacher's; the identity if they are equal."""
    if student.hidden == teacher.hidden:
        return nn.Identity()
    return nn.Linear(student.hidden, teacher.hidden)


def check_width(student: Dims, teacher: Dims, name: str, lacking: str) -> None:
    """Refuse hidden states of unequal widths.

    Args:
        student: Sizes of the student.
        teacher: Sizes of the teacher.
        name: Name of the objective, for the message.
        lacking: What states of unequal widths do not have in common, for the message.

    Raises:
        ValueError: The widths differ.
    """
    if student.hidden != teacher.hidden:
        raise ValueError(
            f"{name}: hidden states of width {student.hidden} and {teacher.hidden} have no common "
            f"{lacking}; use hidden-states, which learns a projection"
        )
