"""One small example of each mechanism, and what a test feeds it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leanformer.attention import (
    LSH,
    Attention,
    BlockWindow,
    Blockwise,
    Clustered,
    Fixed,
    GlobalTokens,
    Heads,
    ImprovedClustered,
    Linear,
    Linformer,
    Mechanism,
    Nystrom,
    Performer,
    PerformerRelu,
    RandomBlocks,
    Routing,
    Sinkhorn,
    SlidingWindow,
    Strided,
    Synthesizer,
    Union,
)

EXAMPLES: list[Mechanism] = [
    SlidingWindow(left=3, right=2),
    BlockWindow(block_size=5),
    BlockWindow(block_size=16, reach=2)
    | RandomBlocks(num_random_blocks=2, block_size=16)
    | GlobalTokens(tokens=tuple(range(16))),
    SlidingWindow(left=150, right=140),  # spans more than a block
    SlidingWindow(left=2, right=1, dilation=3),
    Strided(stride=4),
    Fixed(block_size=6, summary=2),
    Blockwise(block_size=4, shifts=(0,)),
    Blockwise(block_size=4, shifts=(0, 1, 2)),
    RandomBlocks(num_random_blocks=2, block_size=4, seed=1),
    GlobalTokens(tokens=(0, 5)),
    Union(
        patterns=(SlidingWindow(left=2, right=2), GlobalTokens(tokens=(0, 7)), Strided(stride=5))
    ),
    SlidingWindow(left=3, right=3)
    | GlobalTokens(tokens=(1,))
    | RandomBlocks(num_random_blocks=1, block_size=16)
    | Blockwise(block_size=32, shifts=(0, 1)),
    LSH(buckets=4, window=3),
    LSH(buckets=6, num_hashes=3, window=200, seed=2),
    LSH(buckets=16, window=4, shared_qk=True),
    LSH(buckets=4, num_hashes=2, window=4, shared_qk=True),
    LSH(buckets=16, window=6, shared_qk=True, full_chunks=True),
    LSH(buckets=4, num_hashes=2, window=6, full_chunks=True),
    Routing(clusters=3, window=4),
    Routing(clusters=5, window=7, balanced=True),
    Linear(),
    Performer(features=12, seed=1),
    Performer(features=20, lengths="equal"),
    PerformerRelu(features=20),
    PerformerRelu(),
    Linformer(rank=5),
    Linformer(rank=7, sharing="none"),
    Linformer(rank=6, sharing="key-value"),
    Nystrom(landmarks=6),
    Nystrom(landmarks=64),
    Nystrom(landmarks=5, kernel_size=7),
    Clustered(clusters=5, bits=16, iterations=4),
    Clustered(clusters=100),
    ImprovedClustered(clusters=5, topk=4, bits=16, iterations=4, seed=1),
    ImprovedClustered(clusters=3, topk=40),
    Synthesizer(scores="dense"),
    Synthesizer(scores="random"),
    Synthesizer(scores="random", trainable=False, seed=1),
    Synthesizer(scores="factorized-dense", mix=True),
    Synthesizer(scores="factorized-random", rank=3, mix=True),
    Sinkhorn(block_size=4, iterations=3),
    Sinkhorn(block_size=64),
    Sinkhorn(block_size=6, n_top=2),
]


def label(mechanism: Any) -> str:
    """A test's id: the name and the fields that are not the defaults' own."""
    fields = (f"{key}={value}" for key, value in vars(mechanism).items())
    return f"{mechanism.technique}({','.join(fields)})".replace(" ", "")[:80]


@dataclass
class Text:
    """Queries, keys and values of some texts."""

    query: Tensor
    key: Tensor
    value: Tensor

    def __iter__(self) -> Any:
        return iter((self.query, self.key, self.value))


def heads_of(mechanism: Mechanism, causal: bool, *, kv: int = 4, width: int = 8) -> Heads:
    """Four heads of a layer that the mechanism can serve."""
    return Heads(num_heads=4, num_kv_heads=kv, head_dim=width, causal=causal, max_length=300)


def built(mechanism: Mechanism, causal: bool = False, *, kv: int = 4, width: int = 8) -> Attention:
    """The mechanism for such a layer, in float64, parameters drawn from a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attention = mechanism.build(heads_of(mechanism, causal, kv=kv, width=width)).double()
        for parameter in attention.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return attention.eval()


def random_text(length: int, batch: int = 2, *, kv: int = 4, width: int = 8, seed: int = 0) -> Text:
    """Texts of random numbers in float64."""
    generator = torch.Generator().manual_seed(seed)

    def random(heads: int) -> Tensor:
        return torch.randn(batch, heads, length, width, generator=generator, dtype=torch.float64)

    return Text(random(4), random(kv), random(kv))


def every(keep: Tensor | None, length: int, batch: int = 2) -> Tensor:
    """The mask itself, or one that hides nothing."""
    return torch.ones(batch, length, dtype=torch.bool) if keep is None else keep


def places(length: int, batch: int = 2) -> Tensor:
    """Each text's places, [B, T]."""
    return torch.arange(length).expand(batch, -1)
