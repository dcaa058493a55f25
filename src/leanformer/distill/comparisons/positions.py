"""At which tokens the logits of two models are compared; once per example where there are none.

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
        student: Outputs of the student.
        teacher: Outputs of the teacher.
        labels: [B, T] with IGNORE at tokens without a label; only "masked" reads them.
        tokens: "real" = all tokens except padding, [CLS] and [SEP] included, and logits [B, C] as
            they are; "masked" = tokens with a label.

    Raises:
        ValueError: `tokens` is "masked" and the tokens have no labels.
    """
    ours, theirs = student.logits, teacher.logits
    if tokens == "masked":
        if ours.dim() != 3 or labels is None:
            raise ValueError(
                "tokens: 'masked' compares tokens that have a label, and this task has no label "
                "per token; use 'real'"
            )
        known = labels != IGNORE
        return ours[known], theirs[known]
    if ours.dim() == 3:
        return ours[student.keep], theirs[teacher.keep]
    return ours, theirs
