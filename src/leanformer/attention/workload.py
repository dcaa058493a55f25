"""One call of attention, as it is timed: how long the text is, how many heads, which passes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.mechanism import Heads

System = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is timed.

    Attributes:
        length: Tokens.
        causal: Whether tokens see earlier ones alone.
        backward: Whether gradients are taken too.
        num_heads: Heads.
        head_dim: Width of a head.
        batch: Texts.
        device: "cpu" or "cuda"; numbers are float32 on the first, bfloat16 on the second.
    """

    length: int
    causal: bool = False
    backward: bool = False
    num_heads: int = 8
    head_dim: int = 64
    batch: int = 1
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def heads(self) -> Heads:
        """The layer."""
        return Heads(
            num_heads=self.num_heads,
            num_kv_heads=self.num_heads,
            head_dim=self.head_dim,
            causal=self.causal,
            max_length=self.length,
        )

    def call(self, system: System) -> Callable[[], None]:
        """One call on random texts."""
        query, key, value = inputs(self)
        up = torch.randn_like(query)

        def forward() -> None:
            with torch.no_grad():
                system(query, key, value)
            self.wait()

        def both() -> None:
            for x in (query, key, value):
                x.grad = None
            system(query, key, value).backward(up)
            self.wait()

        return both if self.backward else forward

    def wait(self) -> None:
        """Until a GPU has done what it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def inputs(work: Workload) -> tuple[Tensor, Tensor, Tensor]:
    """Random queries, keys and values, [B, H, T, D]."""
    generator = torch.Generator().manual_seed(0)
    shape = (work.batch, work.num_heads, work.length, work.head_dim)
    dtype = torch.bfloat16 if work.device == "cuda" else torch.float32
    query, key, value = (
        torch.randn(shape, generator=generator).to(work.device, dtype).requires_grad_(work.backward)
        for _ in range(3)
    )
    return query, key, value


def dense(work: Workload) -> System:
    """torch's own attention, the best dense kernel of the device."""

    def system(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, is_causal=work.causal)

    return system
