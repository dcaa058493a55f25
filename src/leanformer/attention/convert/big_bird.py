"""BigBird's and BigBirdPegasus' block-sparse self-attention: a window, two global blocks, chance.

    block n of N   softmax over blocks { 0, n - 1, n, n + 1, N - 1 } + { drawn for n }   of q . k
    blocks 0, N-1  softmax over all blocks

A block that is named twice counts twice: of m times the same key a softmax sees its weight times m.
What is kept of transformers' module, so that its checkpoints mean the same:

- in training the drawn blocks are the ones that transformers would draw, head by head, from the
  layer's seed, the text's length and `max_seqlen`: its own functions draw them. For some lengths
  (1024, 3072, 4096) a few of them are in the window or global already, and count twice;
- in evaluation transformers draws nothing and names block 0 in place of each drawn block. So
  here block 0 is read once, and log(1 + drawn blocks) added to its scores;
- hidden places are no keys, and their rows are 0; no weight is dropped in training;
- the model pads texts to whole blocks, and for texts too short for the pattern it replaces this
  module, for good, by its full attention, which takes these weights over. `set_attention_type`
  ("block_sparse") puts transformers' own module back; convert again after it.

It is computed otherwise. transformers gathers each block's keys, and in each call writes down the
weights of all pairs of tokens, seen or not, for callers who may ask for them; here a block of
queries reads its blocks in one softmax (`leanformer.attention.blocked`), and nothing is quadratic.
Blocks are drawn once for each length and not in each call, and numpy's random state, which
transformers seeds again in each call, stays as it was. transformers hides a key by taking 10,000
from its score; here nothing is left of it, however far apart scores are.

Legend: B batch, H head, T token, N block between the first and the last, R drawn block, D head
width, C width of the hidden states, K token of a query block, W key that it reads.
"""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leanformer.attention.blocked import Kernel, Reading, bias_of, blocked_attention, sdpa
from leanformer.attention.convert.heads import join_heads, refuse_weights, split_heads
from leanformer.attention.layout import Layout

NAMES = ("BigBirdBlockSparseAttention", "BigBirdPegasusBlockSparseAttention")
PROJECTIONS = ("query", "key", "value")
FEWEST = 4  # of fewer blocks the last is in the window of the second, and so counts twice
PAPER = (1024, 3072, 4096)  # tokens of the texts for which transformers draws as the paper did


class ConvertedBigBird(nn.Module):
    """Takes the place of a `BigBirdBlockSparseAttention`, with its weights under their names."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.max_seqlen: int = theirs.max_seqlen
        self.seed: int | None = theirs.seed
        self.num_attention_heads: int = theirs.num_attention_heads
        self.num_random_blocks: int = theirs.num_random_blocks
        self.block_size: int = theirs.block_size
        for name in PROJECTIONS:
            self.add_module(name, getattr(theirs, name))
        self.training = theirs.training
        self._theirs = type(theirs)
        self._readings: dict[tuple[int, bool, torch.device], tuple[Reading, ...]] = {}

    def forward(
        self,
        hidden_states: Tensor,
        band_mask: Tensor | None = None,
        from_mask: Tensor | None = None,
        to_mask: Tensor | None = None,
        from_blocked_mask: Tensor | None = None,
        to_blocked_mask: Tensor | None = None,
        **others: Any,
    ) -> tuple[Tensor, None]:
        """What each token takes from the others, [B, T, C], and no weights.

        Args:
            hidden_states: [B, T, C], T a multiple of `block_size`.
            band_mask: What `to_mask` says, cut for transformers' window; not read.
            from_mask: [B, 1, T, 1] 1 at queries that are there, 0 at hidden ones; None = all are.
            to_mask: [B, 1, 1, T] the same of keys.
            from_blocked_mask: What `from_mask` says, in blocks; not read.
            to_blocked_mask: What `to_mask` says, in blocks; not read.
            **others: What else the model was called with.

        Raises:
            ValueError: Weights are asked for, which are never written down; or the text is not of
                whole blocks, or of fewer than 4.
        """
        self._check(hidden_states.shape[1], others)
        query, key, value = (
            split_heads(self.get_submodule(name)(hidden_states), self.num_attention_heads)
            for name in PROJECTIONS
        )
        keep_BT = None if to_mask is None else to_mask[:, 0, 0] > 0
        if keep_BT is not None and bool(keep_BT.all()):
            keep_BT = None
        reads = self._kept(hidden_states.shape[1], self.training, hidden_states.device)
        size, kernel = self.block_size, sdpa(query.shape[3] ** -0.5, 0.0, empty=False)
        inner = blocked_attention(
            query[:, :, size:-size],
            key,
            value,
            keep_BT,
            (Layout(sees=torch.eq, size=size),),  # says the size of blocks alone
            reads,
            False,
            kernel if reads[0].chosen is not None else self._counted(kernel),
        )
        ends = torch.cat([query[:, :, :size], query[:, :, -size:]], 2)
        outer = kernel(ends, key, value, None if keep_BT is None else keep_BT[:, None, None])
        mixed = torch.cat([outer[:, :, :size], inner, outer[:, :, size:]], 2)
        if from_mask is not None:
            mixed = mixed.masked_fill(from_mask <= 0, 0)
        return join_heads(mixed), None

    def _check(self, length: int, others: dict[str, Any]) -> None:
        refuse_weights(bool(others.get("output_attentions")))
        if length % self.block_size or length < FEWEST * self.block_size:
            raise ValueError(
                f"hidden_states: {length} tokens; the text must be {FEWEST} or more whole blocks "
                f"of {self.block_size} (config.block_size); pad it, as the whole model does, and "
                'call a shorter one with set_attention_type("original_full")'
            )

    def _counted(self, kernel: Kernel) -> Kernel:
        """Attention of a block that counts block 0, the first that it reads, for the drawn too."""
        if not self.num_random_blocks:
            return kernel
        more = math.log(1 + self.num_random_blocks)

        def counted(query: Tensor, key: Tensor, value: Tensor, sees: Tensor | None) -> Tensor:
            if sees is None:
                bias_BHKW = query.new_zeros(1, 1, 1, key.shape[2])
            else:
                bias_BHKW = bias_of(sees, query.dtype)
            bias_BHKW[..., : self.block_size] += more
            return kernel(query, key, value, bias_BHKW)

        return counted

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def _kept(self, length: int, training: bool, device: torch.device) -> tuple[Reading, ...]:
        """What the blocks between the first and the last read, kept for the next batch."""
        known = (length, training, device)
        if known not in self._readings:
            made = self._read(self._plan(length, training).to(device))
            if self.seed is None:  # then transformers draws anew in each call
                return made
            self._readings = {known: made}
        return self._readings[known]

    def _read(self, plan_HNR: Tensor) -> tuple[Reading, ...]:
        size, last = self.block_size, plan_HNR.shape[1] + 1
        drawn = bool((plan_HNR > 0).any())  # block 0 is never drawn, it stands for none
        none = torch.empty(0, dtype=torch.long, device=plan_HNR.device)
        made = []
        for number in range(1, last):
            window = range(max(number - 1, 1), min(number + 2, last))
            made.append(
                Reading(
                    first=number * size,
                    last=number * size + size,
                    blocks=(0, *window, last),
                    columns=none,
                    chosen=plan_HNR[None, :, number - 1] if drawn else None,
                    sees=None,
                )
            )
        return tuple(made)

    def _plan(self, length: int, training: bool) -> Tensor:
        """The blocks that transformers' module would draw for such a text, [H, N, R]."""
        kind, size, count = self._theirs, self.block_size, self.num_random_blocks
        drawing: Any = SimpleNamespace(  # what its functions ask of their module
            training=training,
            _get_single_block_row_attention=kind._get_single_block_row_attention,
        )
        before = np.random.get_state()
        np.random.seed(self.seed if self.seed is not None else _drawn_seed())
        try:
            if length in PAPER:
                whole = (drawing, self.max_seqlen, self.max_seqlen, size, size, count, PAPER[0])
                plan = [
                    kind._bigbird_block_rand_mask(*whole)[: length // size - 2]
                    for _ in range(self.num_attention_heads)
                ]
            else:
                lengths, counts = kind._get_rand_attn_plan(length, size, count)
                plan = kind._bigbird_block_rand_mask_with_head(
                    drawing, length, length, size, size, self.num_attention_heads, lengths, counts
                )
        finally:
            np.random.set_state(before)
        return torch.from_numpy(np.stack(plan).astype(np.int64))


def _drawn_seed() -> int:
    """A seed from torch's state, which gradient checkpointing puts back where it runs again."""
    return int(torch.randint(2**32, ()))
