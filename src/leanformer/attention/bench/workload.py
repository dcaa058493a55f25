"""One call of attention, as it is timed: how long the text is, how many heads, which passes.

Legend: B batch, H head, T token, S key token, D head width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.heads import Heads
from leanformer.attention.kernels.dense import visible

System = Callable[..., Tensor]
"""Takes queries, keys, values and, where texts are padded, the mask of real keys, [B, S]."""


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
        padded: Share of the token positions that are padding, behind each text.
        device: What torch calls it, as "cpu", "cuda", "cuda:1", "mps"; numbers are bfloat16 on CUDA
            and float32 elsewhere.
    """

    length: int
    causal: bool = False
    backward: bool = False
    num_heads: int = 8
    head_dim: int = 64
    batch: int = 1
    padded: float = 0.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 0 <= self.padded < 1:
            raise ValueError(f"padded: {self.padded} of a text; it is at least 0 and below 1")

    @property
    def keep_BS(self) -> Tensor | None:
        """True at token positions of the text; None where nothing is padded."""
        if not self.padded:
            return None
        there = max(1, round(self.length * (1 - self.padded)))
        return (torch.arange(self.length) < there).expand(self.batch, -1).to(self.device)

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
        keep_BS = self.keep_BS
        text = (query, key, value) if keep_BS is None else (query, key, value, keep_BS)
        up = torch.randn_like(query)

        def forward() -> None:
            with torch.no_grad():
                system(*text)
            self.wait()

        def both() -> None:
            for x in (query, key, value):
                x.grad = None
            system(*text).backward(up)
            self.wait()

        return both if self.backward else forward

    def wait(self) -> None:
        """Wait until a device that computes on its own has done what it was given."""
        if self.device != "cpu":
            torch.accelerator.synchronize(torch.device(self.device))


def inputs(work: Workload) -> tuple[Tensor, Tensor, Tensor]:
    """Random queries, keys and values, [B, H, T, D]."""
    generator = torch.Generator().manual_seed(0)
    shape = (work.batch, work.num_heads, work.length, work.head_dim)
    dtype = torch.bfloat16 if work.device.startswith("cuda") else torch.float32
    query, key, value = (
        torch.randn(shape, generator=generator).to(work.device, dtype).requires_grad_(work.backward)
        for _ in range(3)
    )
    return query, key, value


def dense(work: Workload) -> System:
    """torch's own attention, the best dense kernel of the device.

    With padding it is given the mask that transformers makes, once for all layers of a model.
    """
    if work.keep_BS is None:

        def system(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(query, key, value, is_causal=work.causal)

        return system
    made: dict[torch.Size, Tensor] = {}

    def masked(query: Tensor, key: Tensor, value: Tensor, keep_BS: Tensor) -> Tensor:
        if keep_BS.shape not in made:
            at_BT = torch.arange(keep_BS.shape[1], device=keep_BS.device)[None]
            made[keep_BS.shape] = visible(keep_BS, at_BT, work.causal)
        mask = made[keep_BS.shape]
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    return masked
