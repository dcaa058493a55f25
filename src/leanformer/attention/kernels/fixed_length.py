"""Texts that are longer than parameters with one entry a place.

Legend: B batch, S key token.
"""

from torch import Tensor


def refuse_longer(length: int, keep_BS: Tensor | None, max_length: int) -> None:
    """Let texts pass that stand within the places that were learned, padding behind them or not.

    Args:
        length: Places of the texts, hidden ones included.
        keep_BS: True at places of the text; None = all.
        max_length: Places that have parameters.

    Raises:
        ValueError: A text has a token beyond them.
    """
    if length > max_length and (keep_BS is None or bool(keep_BS[:, max_length:].any())):
        raise ValueError(
            f"max_length: texts of {length} places and parameters for {max_length}; cut the texts "
            "shorter, or build and train with a larger Heads(max_length=...)"
        )
