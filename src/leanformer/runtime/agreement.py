"""How far a backend's answers are from PyTorch's on the same texts.

classification, tokens   share of equal labels
regression               Pearson's correlation of the scores
embedding                mean cosine; the minimum beside it, because a mean hides damage
"""

from collections.abc import Sequence

import numpy as np

from leanformer.core.proof import Proof
from leanformer.numerics.metrics import length_ratio


def agreement(kind: str, reference: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """1 where the answers are the same; `reference` and `other` hold one output per text.

    Raises:
        ValueError: They are empty, or differ in number.
    """
    if not reference or len(reference) != len(other):
        raise ValueError(f"outputs: {len(reference)} and {len(other)}; give as many, at least one")
    if kind == "embedding":
        return float(cosines(np.stack(reference), np.stack(other)).mean())
    if kind == "regression":
        return _correlation(np.stack(reference)[:, 0], np.stack(other)[:, 0])
    first = np.concatenate([np.atleast_1d(row.argmax(-1)) for row in reference])
    second = np.concatenate([np.atleast_1d(row.argmax(-1)) for row in other])
    return float((first == second).mean())


def cosines(first_BD: np.ndarray, second_BD: np.ndarray) -> np.ndarray:
    """The cosine of each pair of rows."""
    norms = np.linalg.norm(first_BD, axis=1) * np.linalg.norm(second_BD, axis=1)
    return np.asarray((first_BD * second_BD).sum(1) / np.maximum(norms, 1e-12))


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
    if kind == "embedding":
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


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if first.std() == 0 or second.std() == 0:
        return float(np.allclose(first, second))
    return float(np.corrcoef(first, second)[0, 1])
