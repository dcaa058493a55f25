"""A narrower BERT from a wider one: every axis of every weight is mapped to the student's.

A weight joins spaces of the model, and each space is mapped once, the same wherever it occurs:

    D   the residual stream: embeddings, what layers read and write, norms
    A   the heads side by side, H·K channels
    F   the neurons of the FFN
    P   what the pooler gives

    slice   D, A, F, P by index: evenly spaced, whole heads where the student's fit into the
            teacher's
    svd     D by projection on the top singular directions of the word embeddings, E = U S V^T:
            P = V[:, :D_s], orthonormal, so E_s = E P and a weight D -> D becomes P^T W P. Heads,
            neurons and the pooler are behind a softmax, a GELU and a tanh, which no rotation goes
            through: they are sliced, e.g. W_q,s = W_q[a] P.

An axis that keeps its width is copied, so that equal widths give exactly the teacher's layers. Norm
scales g are no vectors of D but a diagonal matrix on it: with svd, g_s = diag(P^T diag(g) P).

D width, H head, K head width, F FFN width, V vocabulary; _s student, _t teacher.
"""

import re
from dataclasses import dataclass

import torch
from torch import Tensor

_SPACES: tuple[tuple[str, str], ...] = (
    (r"embeddings\.(word|position|token_type)_embeddings\.weight", ".D"),
    (r"attention\.self\.(query|key|value)", "AD"),
    (r"attention\.output\.dense", "DA"),
    (r"intermediate\.dense", "FD"),
    (r"\d\.output\.dense", "DF"),
    (r"pooler\.dense", "PD"),
    (r"predictions\.transform\.dense", "DD"),
    (r"LayerNorm\.weight", "g"),
    (r"LayerNorm\.bias", "D"),
    (r"predictions\.decoder\.weight", ".D"),
    (r"predictions\.(decoder\.)?bias", "."),
)


@dataclass(frozen=True)
class Widths:
    """The sizes of a BERT that a student may change.

    Attributes:
        hidden: D.
        heads: H.
        ffn: F.
    """

    hidden: int
    heads: int
    ffn: int


def even(count: int, total: int) -> Tensor:
    """`count` indices of `total`, evenly spaced from the first."""
    return torch.arange(count) * total // count


def head_channels(student: Widths, teacher: Widths) -> Tensor:
    """The channel of the teacher's heads for each of the student's, [H_s·K_s].

    Whole heads stay together where there are enough and wide enough ones; else channels are evenly
    spaced over all heads.
    """
    ours, theirs = student.hidden // student.heads, teacher.hidden // teacher.heads
    if student.heads > teacher.heads or ours > theirs:
        return even(student.hidden, teacher.hidden)
    heads = even(student.heads, teacher.heads)
    return (heads[:, None] * theirs + even(ours, theirs)).reshape(-1)


def directions(words_VD: Tensor, count: int) -> Tensor:
    """The top right singular vectors of the word embeddings, [D, count], orthonormal.

    The largest entry of each is positive: a singular vector is one only up to its sign.
    """
    words = words_VD.double()
    _, vectors = torch.linalg.eigh(words.T @ words)
    top = vectors.flip(1)[:, :count]
    largest = top.gather(0, top.abs().argmax(0, keepdim=True))
    return (top * largest.sign()).to(words_VD.dtype)


def narrowed(
    state: dict[str, Tensor], student: Widths, teacher: Widths, *, project: bool, pooled: bool
) -> dict[str, Tensor]:
    """The weights of a BERT, with any head, at the student's widths.

    Args:
        state: State of the teacher, or of its chosen layers.
        student: Widths to have.
        teacher: Widths that `state` has; none narrower.
        project: Map the residual stream by projection (svd) instead of by index (slice).
        pooled: Whether the classifier reads the pooler.
    """
    same = student.hidden == teacher.hidden
    residual: Tensor = even(student.hidden, teacher.hidden)
    if project and not same:
        words = next(v for k, v in state.items() if k.endswith("word_embeddings.weight"))
        residual = directions(words, student.hidden)
    maps = {
        "D": residual,
        "A": head_channels(student, teacher),
        "F": even(student.ffn, teacher.ffn),
        "P": even(student.hidden, teacher.hidden),
    }
    spaces = (*_SPACES, (r"^classifier", ".P" if pooled else ".D"))
    return {key: _mapped(key, value, spaces, maps) for key, value in state.items()}


def _mapped(
    key: str, value: Tensor, spaces: tuple[tuple[str, str], ...], maps: dict[str, Tensor]
) -> Tensor:
    axes = next(axes for pattern, axes in spaces if re.search(pattern, key))
    if axes == "g":
        residual = maps["D"]
        return along(value, residual.square() if residual.is_floating_point() else residual, 0)
    for dim, space in enumerate(axes[: value.dim()]):
        if space != ".":
            value = along(value, maps[space], dim)
    return value


def along(tensor: Tensor, mapping: Tensor, dim: int) -> Tensor:
    """One axis of a tensor mapped: indices [S] pick, a matrix [T, S] projects."""
    if mapping.is_floating_point():
        return torch.tensordot(tensor, mapping.to(tensor), dims=([dim], [0])).movedim(-1, dim)
    return tensor.index_select(dim, mapping.to(tensor.device))
