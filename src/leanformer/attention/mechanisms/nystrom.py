"""Nyström attention: a few landmarks, means of neighbouring tokens, stand between all pairs.

    O = softmax(Q K~^T)  pinv(softmax(Q~ K~^T))  softmax(Q~ K^T)  V  [+ conv(V)]

Q~ and K~ are the means of `landmarks` segments of the text. The three small softmaxes approximate
the large one as the Nyström method does a matrix from some of its columns and rows; the
pseudo-inverse comes from six steps of a third-order iteration, which needs products alone:

    Z <- 1/4 Z (13 I - A Z (15 I - A Z (7 I - A Z)))       Z_0 = A^T / (|A|_1 |A|_inf)

Segments are laid over the tokens that are there, so padding moves none of them, and a text with
fewer tokens than landmarks uses as many as it has tokens: each is one then, and where the inverse
is exact the attention is the softmax itself. Z_0 is scaled per text and head.

Legend: B batch, H head, T token, M landmark, N another landmark, D head width, K kernel place.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.attention.heads import Capabilities, Cost, Heads, Swap
from leanformer.attention.kernels.blocked import sdpa
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.core.ranges import Count
from leanformer.core.technique import technique

STEPS = 6  # as in the paper


def segment_weights(length: int, there_B: Tensor, landmarks: int, dtype: torch.dtype) -> Tensor:
    """The share of each token in each landmark, [B, 1, M, T]; landmarks past a text's last are 0.

    Token t of n is in segment t * m // n of m, so that sizes differ by one at most.

    Args:
        length: Places of each text.
        there_B: Tokens of each text, which stand first.
        landmarks: Segments, if there are as many tokens.
        dtype: Of the result.
    """
    place = torch.arange(length, device=there_B.device)
    used = there_B.clamp(max=landmarks)[:, None]
    segment = (place * used).div(there_B.clamp(min=1)[:, None], rounding_mode="floor")
    segment = segment.masked_fill(place >= there_B[:, None], -1)
    number = torch.arange(min(landmarks, length), device=there_B.device)
    inside = (segment[:, None] == number[:, None]).to(dtype)
    return (inside / inside.sum(-1, keepdim=True).clamp(min=1))[:, None]


def pseudo_inverse(matrix_BHMM: Tensor, steps: int = STEPS, start: Tensor | None = None) -> Tensor:
    """What the iteration makes of each matrix; rows and columns of zeros stay zeros.

    Args:
        matrix_BHMM: The matrices.
        steps: Of the iteration.
        start: Z_0; None = as above.
    """
    size = matrix_BHMM.shape[-1]
    one = torch.eye(size, dtype=matrix_BHMM.dtype, device=matrix_BHMM.device)
    inverse = start
    if inverse is None:
        columns, rows = (matrix_BHMM.sum(axis).amax(-1)[..., None, None] for axis in (-2, -1))
        inverse = matrix_BHMM.transpose(-1, -2) / (columns * rows).masked_fill(columns == 0, 1)
    for _ in range(steps):
        product = matrix_BHMM @ inverse
        inner = 15 * one - product @ (7 * one - product)
        inverse = inverse @ (13 * one - product @ inner) / 4
    return inverse


def convolved(value_BHTD: Tensor, kernel_HK: Tensor) -> Tensor:
    """Each head's values mixed with their neighbours' along the text, as long, [B, H, T, D]."""
    heads, size = kernel_HK.shape
    kernel = kernel_HK.to(value_BHTD.dtype)[:, None, :, None]
    return F.conv2d(value_BHTD, kernel, padding=(size // 2, 0), groups=heads)


class NystromAttention(Attention):
    """Attention over landmarks, built.

    Attributes:
        kernel: [H, K] what is added of neighbouring values; None = nothing.
    """

    kernel: nn.Parameter | None

    def __init__(self, mechanism: "Nystrom", heads: Heads) -> None:
        super().__init__(heads, mechanism.capabilities)
        self.landmarks, size = mechanism.landmarks, mechanism.kernel_size
        kernel = None if size is None else nn.Parameter(torch.empty(heads.num_heads, size))
        self.register_parameter("kernel", kernel)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Let the convolution begin as nothing, so that a trained model loses nothing."""
        if self.kernel is not None:
            nn.init.zeros_(self.kernel)

    def reference(
        self,
        query_BHTD: Tensor,
        key_BHSD: Tensor,
        value_BHSD: Tensor,
        keep_BS: Tensor,
        at_BT: Tensor,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """See `Attention.reference`: text by text, without what is hidden."""
        mixed = torch.zeros_like(query_BHTD)
        for row, there in enumerate(keep_BS.sum(1).tolist()):
            if there:
                query, key, value = (x[row, :, :there] for x in (query_BHTD, key_BHSD, value_BHSD))
                mixed[row, :, :there] = self._text(query, key, value, scaling)
        return mixed

    def _text(
        self, query_HTD: Tensor, key_HTD: Tensor, value_HTD: Tensor, scaling: float
    ) -> Tensor:
        """One text as the paper writes it, [H, T, D]."""
        there = query_HTD.shape[1]
        used = min(self.landmarks, there)
        sizes = torch.bincount(torch.arange(there) * used // there).tolist()
        queries, keys = (
            torch.stack([part.mean(1) for part in x.split(sizes, 1)], 1)
            for x in (query_HTD, key_HTD)
        )
        whole = (scaling * query_HTD @ keys.mT).softmax(-1)
        small = (scaling * queries @ keys.mT).softmax(-1)
        last = (scaling * queries @ key_HTD.mT).softmax(-1)
        mixed = whole @ pseudo_inverse(small) @ last @ value_HTD
        if self.kernel is not None:
            half = self.kernel.shape[1] // 2
            near = F.pad(value_HTD, (0, 0, half, half)).unfold(1, 2 * half + 1, 1)
            mixed = mixed + torch.einsum("htdk,hk->htd", near, self.kernel)
        return mixed

    def efficient(
        self,
        query_BHTD: Tensor,
        key_BHTD: Tensor,
        value_BHTD: Tensor,
        keep_BT: Tensor | None,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """See `Attention.efficient`: the two long softmaxes are attentions of their own."""
        dtype, (_, _, length, _) = query_BHTD.dtype, query_BHTD.shape
        wide = torch.promote_types(dtype, torch.float32)  # the inverse enlarges what is rounded
        query, key, value = (x.to(wide) for x in (query_BHTD, key_BHTD, value_BHTD))
        there = torch.tensor([length], device=key.device) if keep_BT is None else keep_BT.sum(1)
        weights = segment_weights(length, there, self.landmarks, wide)
        if keep_BT is not None:  # not even 0 times what is hidden: it may be no number
            query, key, value = (
                x.masked_fill(~keep_BT[:, None, :, None], 0) for x in (query, key, value)
            )
        queries, keys = weights @ query, weights @ key
        used = weights.sum(-1, dtype=wide)[:, :, None] > 0  # [B, 1, 1, M]
        sees = None if keep_BT is None else keep_BT[:, None, None]
        lowest = torch.finfo(wide).min
        small = (queries @ keys.transpose(-1, -2) * scaling).masked_fill(~used, lowest).softmax(-1)
        small = small * used * used.transpose(-1, -2)
        attend = sdpa(scaling, 0.0)
        seen = pseudo_inverse(small) @ attend(queries, key, value, sees)
        mixed = attend(query, keys, seen, None if keep_BT is None else used)
        if self.kernel is not None:
            mixed = mixed + convolved(value, self.kernel)
        return mixed.to(dtype)


@technique("nystrom", paper="Xiong et al. 2021 (Nyströmformer), arXiv:2102.03902")
class Nystrom(Mechanism):
    """See the text through landmarks: an approximation of the softmax, linear in the length."""

    landmarks: Count = 64
    """Segments whose means stand between all pairs; the cost grows with them."""
    kernel_size: Count | None = None
    """Tokens of a learned convolution of each head's values that is added; None = none, and
    nothing is learned. The paper's models have 33 or 65."""

    def __post_init__(self) -> None:
        if self.kernel_size is not None and self.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size: {self.kernel_size} tokens have no middle; it is odd, or None for "
                "no convolution"
            )

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # the convolution is learned
        """What it can do."""
        convolved = self.kernel_size is not None
        measured = self.landmarks >= 64 and not convolved
        swap: Swap = "keeps" if measured else "unmeasured"
        return Capabilities(causal="no", learned=convolved, swap=swap)

    def build(self, heads: Heads) -> Attention:
        """See `Mechanism.build`."""
        self.check(heads)
        return NystromAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: means, two thin attentions, and the inverse of the small one."""
        scores, width = length * self.landmarks, heads.head_dim
        inverse = (8 * STEPS) * self.landmarks**3
        convolution = 2 * length * width * (self.kernel_size or 0)
        return Cost(flops=12 * scores * width + inverse + convolution, scores=scores)
