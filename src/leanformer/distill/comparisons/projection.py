"""Widths: hidden states are compared in the teacher's width, which a student has or learns.

    W h^s + b    beside    h^t

The projection is trained with the student and thrown away after it. What compares directions or
statistics of the hidden states themselves takes none, and asks for equal widths.
"""

from torch import nn

from leanformer.distill.objective import Dims


def projection(student: Dims, teacher: Dims) -> nn.Module:
    """A linear map from the student's width to the teacher's; nothing where they are equal."""
    if student.hidden == teacher.hidden:
        return nn.Identity()
    return nn.Linear(student.hidden, teacher.hidden)


def check_width(student: Dims, teacher: Dims, name: str, lacking: str) -> None:
    """Whether hidden states can be compared as they are.

    Args:
        student: Sizes of the student.
        teacher: Sizes of the teacher.
        name: The objective, for the message.
        lacking: What states of unequal widths have not in common, for the message.

    Raises:
        ValueError: The widths differ.
    """
    if student.hidden != teacher.hidden:
        raise ValueError(
            f"{name}: hidden states of width {student.hidden} and {teacher.hidden} have no common "
            f"{lacking}; use hidden-states, which learns a projection"
        )
