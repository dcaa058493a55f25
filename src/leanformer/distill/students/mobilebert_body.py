"""MobileBERT written out: thin layers between wide hidden states.

    e_t   = W [w_{t+1}; w_t; w_{t-1}] + p_t + s_t               trigram: 3 x 128 -> D = 512
    x     = norm(W_in h)                                        bottleneck, the residual: D -> I
    c     = norm(W_qk h)                                        bottleneck of queries and keys
    a     = norm(W_o attention(W_q c, W_k c, W_v h) + x)        values come from the wide h
    f_n   = norm(W_2 act(W_1 f_{n-1}) + f_{n-1}),  f_0 = a      stacked FFNs, N of them
    h'    = norm(W_out f_N + h)                                 back up: I -> D

NoNorm replaces LayerNorm: norm(x) = g * x + b, no statistics. The same class with other settings is
the teacher that the paper trains it from, the inverted-bottleneck BERT (IB-BERT): its layers are
*wider* inside (I = 1024) than between, with one FFN, LayerNorm and GELU, and all three of queries,
keys and values come from h. Hidden states of both are 512 wide between layers, so feature maps are
compared without a projection. transformers cannot run that teacher: its queries would expect I
channels and be given D.

`leanformer.distill.students.mobilebert_names` renames the weights of transformers' MobileBERT.

B batch, T token, D width between layers, I width within, H head, K head width.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPS = 1e-12


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """The settings of a MobileBERT; the defaults are the published student's.

    Attributes:
        vocabulary: Word pieces.
        positions: Longest text.
        types: Token types.
        embedding: Width of a word's embedding.
        hidden: D, width of the hidden states between layers.
        within: I, width inside a layer.
        layers: Number of layers.
        heads: Attention heads of a layer.
        ffn: Neurons of each FFN.
        stacked: FFNs of a layer.
        attention: Where queries and keys come from: a bottleneck that they share, or the hidden
            state itself, as in IB-BERT. Values come from the hidden state in both.
        norm: "no-norm" or "layer-norm".
        activation: Of the FFNs.
    """

    vocabulary: int
    positions: int = 512
    types: int = 2
    embedding: int = 128
    hidden: int = 512
    within: int = 128
    layers: int = 24
    heads: int = 4
    ffn: int = 512
    stacked: int = 4
    attention: Literal["shared", "raw"] = "shared"
    norm: Literal["no-norm", "layer-norm"] = "no-norm"
    activation: Literal["relu", "gelu"] = "relu"

    def __post_init__(self) -> None:
        if self.within % self.heads:
            raise ValueError(f"within: {self.within} is not a multiple of the {self.heads} heads")


def inverted_bottleneck(vocabulary: int, **settings: int) -> BodyShape:
    """The settings of IB-BERT LARGE, MobileBERT's own teacher; `settings` change some."""
    fields = {"within": 1024, "ffn": 4096, "stacked": 1, **settings}
    return BodyShape(
        vocabulary=vocabulary, attention="raw", norm="layer-norm", activation="gelu", **fields
    )


class NoNorm(nn.Module):
    """Scale and shift of each channel, without the statistics that take most of a LayerNorm's
    time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """`weight * x + bias`, channel by channel."""
        return x * self.weight + self.bias


class MobileBertBody(nn.Module):
    """The encoder, with random weights; it has no dropout and no head."""

    def __init__(self, shape: BodyShape) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.vocabulary, shape.embedding)
        self.positions = nn.Embedding(shape.positions, shape.hidden)
        self.types = nn.Embedding(shape.types, shape.hidden)
        self.trigram = nn.Linear(3 * shape.embedding, shape.hidden)
        self.norm = _norm(shape, shape.hidden)
        self.layers = nn.ModuleList([_Layer(shape) for _ in range(shape.layers)])

    def forward(
        self, ids_BT: Tensor, keep_BT: Tensor, types_BT: Tensor | None = None
    ) -> list[Tensor]:
        """Hidden states [B, T, D]: the embeddings, then one a layer.

        Args:
            ids_BT: Token ids.
            keep_BT: True at real tokens.
            types_BT: Token types; None = all 0.
        """
        words = self.words(ids_BT)
        # Neighbors beyond the text are zeros; padding tokens count as neighbors, as published.
        after = functional.pad(words[:, 1:], (0, 0, 0, 1))
        before = functional.pad(words[:, :-1], (0, 0, 1, 0))
        types = torch.zeros_like(ids_BT) if types_BT is None else types_BT
        places = self.positions(torch.arange(ids_BT.shape[1], device=ids_BT.device))
        hidden = self.trigram(torch.cat([after, words, before], dim=-1))
        states = [self.norm(hidden + places + self.types(types))]
        for layer in self.layers:
            states.append(layer(states[-1], keep_BT))
        return states


class _Layer(nn.Module):
    def __init__(self, shape: BodyShape) -> None:
        super().__init__()
        wide, thin = shape.hidden, shape.within
        self.heads = shape.heads
        self.down, self.down_norm = nn.Linear(wide, thin), _norm(shape, thin)
        self.shared: nn.Module | None = None
        if shape.attention == "shared":
            self.shared, self.shared_norm = nn.Linear(wide, thin), _norm(shape, thin)
        asked = thin if self.shared is not None else wide
        self.query, self.key = nn.Linear(asked, thin), nn.Linear(asked, thin)
        self.value = nn.Linear(wide, thin)
        self.out, self.out_norm = nn.Linear(thin, thin), _norm(shape, thin)
        self.ffns = nn.ModuleList([_FFN(shape) for _ in range(shape.stacked)])
        self.up, self.up_norm = nn.Linear(thin, wide), _norm(shape, wide)

    def forward(self, hidden_BTD: Tensor, keep_BT: Tensor) -> Tensor:
        residual = self.down_norm(self.down(hidden_BTD))
        asking = hidden_BTD
        if self.shared is not None:
            asking = self.shared_norm(self.shared(hidden_BTD))
        x = self.out_norm(self.out(self._attend(asking, hidden_BTD, keep_BT)) + residual)
        for ffn in self.ffns:
            x = ffn(x)
        raised: Tensor = self.up_norm(self.up(x) + hidden_BTD)
        return raised

    def _attend(self, asking: Tensor, hidden: Tensor, keep_BT: Tensor) -> Tensor:
        query, key, value = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x in (self.query(asking), self.key(asking), self.value(hidden))
        )
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=keep_BT.bool()[:, None, None, :]
        )
        return mixed.transpose(1, 2).flatten(-2)


class _FFN(nn.Module):
    def __init__(self, shape: BodyShape) -> None:
        super().__init__()
        self.widen = nn.Linear(shape.within, shape.ffn)
        self.narrow = nn.Linear(shape.ffn, shape.within)
        self.norm = _norm(shape, shape.within)
        self.activation = nn.ReLU() if shape.activation == "relu" else nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(self.narrow(self.activation(self.widen(x))) + x)
        return found


def _norm(shape: BodyShape, width: int) -> nn.Module:
    return NoNorm(width) if shape.norm == "no-norm" else nn.LayerNorm(width, eps=_EPS)
