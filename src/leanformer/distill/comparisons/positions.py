"""Where the logits of two models are compared: once an example, or at which tokens.

Legend: B batch, T token, C class, N examples or tokens.
"""

from typing import Literal

from torch import Tensor

from leanformer.data import IGNORE
from leanformer.distill.objective import Outputs

Tokens = Literal["real", "masked"]


def compared(
    student: Outputs, teacher: Outputs, labels: Tensor | None, tokens: Tokens
) -> tuple[Tensor, Tensor]:
    """Logits of both models, each [N, C].

    Args:
        student: What the student says.
        teacher: What the teacher says.
        labels: [B, T] with IGNORE where nothing is asked; only "masked" reads them.
        tokens: "real" = every token but padding, [CLS] and [SEP] included, and logits [B, C] as
            they are; "masked" = tokens with a label.

    Raises:
        ValueError: "masked" is asked for where no token has a label of its own.
    """
    ours, theirs = student.logits, teacher.logits
    if tokens == "masked":
        if ours.dim() != 3 or labels is None:
            raise ValueError(
                "tokens: 'masked' compares tokens that have a label, and here is none for each "
                "token; use 'real'"
            )
        known = labels != IGNORE
        return ours[known], theirs[known]
    if ours.dim() == 3:
        return ours[student.keep], theirs[teacher.keep]
    return ours, theirs
