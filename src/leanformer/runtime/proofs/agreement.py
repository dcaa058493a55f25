"""How far a backend's answers are from PyTorch's on the same texts.

How answers are compared is the task's affair (`TaskKind.agreement`): a share of equal labels, a
correlation of scores, a mean cosine. Beside a mean cosine stands the minimum, because a mean hides
damage.
"""

from collections.abc import Sequence

import numpy as np

from leanformer.core.proof import Proof
from leanformer.numerics.metrics import length_ratio
from leanformer.tasks import kind_named
from leanformer.tasks.answers import cosines


def agreement(kind: str, reference: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """1 where the answers are the same; `reference` and `other` hold one output per text.

    Raises:
        ValueError: They are empty, or differ in number.
    """
    if not reference or len(reference) != len(other):
        raise ValueError(f"outputs: {len(reference)} and {len(other)}; give as many, at least one")
    return kind_named(kind).agreement(reference, other)


def equal_outputs(
    reference: Sequence[np.ndarray], other: Sequence[np.ndarray], *, tolerance: float, backend: str
) -> Proof:
    """The proof that no output differs by more than `tolerance`: for exports in fp32."""
    worst = max(float(np.abs(a - b).max()) for a, b in zip(reference, other, strict=True))
    return Proof(
        claim="largest difference to PyTorch",
        before=None,
        after=worst,
        unit="",
        ok=worst <= tolerance,
        asked=tolerance,
        note=f"{backend}, {len(reference)} texts",
    )


def agreeing_outputs(
    kind: str,
    reference: Sequence[np.ndarray],
    other: Sequence[np.ndarray],
    *,
    least: float,
    backend: str,
) -> Proof:
    """The proof that the answers agree with PyTorch's by at least `least`: for int8 and bf16."""
    value = agreement(kind, reference, other)
    note = f"{backend}, {len(reference)} texts"
    if kind_named(kind).output == "vector":
        rows, others = np.stack(reference), np.stack(other)
        note += f"; lowest {cosines(rows, others).min():.4f}"
        note += f"; lengths {length_ratio(others, rows):.4f} of PyTorch's"
    return Proof(
        claim="agreement with PyTorch fp32",
        before=None,
        after=value,
        unit="",
        ok=value >= least,
        asked=least,
        note=note,
    )
