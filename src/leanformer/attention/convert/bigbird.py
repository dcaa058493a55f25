"""BigBird's block-sparse self-attention: a window, two global blocks and random ones.

    first and last block    softmax over the whole text
    block n                 softmax over blocks 0, n-1, n, n+1, last, and r drawn for this head

What is kept of transformers' module, so that its checkpoints mean the same:

- texts are a multiple of the block, and the last block is global however little of it is text;
- the blocks are drawn as theirs are: in training from numpy's generator under the layer's seed, in
  evaluation all r of them are block 0, whose keys thus count 1 + r times;
- a block that is drawn twice counts twice; the rows of hidden places are 0.

It is computed otherwise: block by block by torch's fused kernel (`leanformer.attention.blocked`).
Theirs gathers the drawn blocks of the whole text and writes all T x T weights down, asked or not.
A model whose texts are too short for the pattern puts dense attention of its own in our place, as
it does with its own.

Legend: B batch, H head, T token, C width of the hidden states, N block of queries, R drawn block.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leanformer.attention.blocked import Reading, blocked_attention, sdpa
from leanformer.attention.convert.heads import join_heads, split_heads
from leanformer.attention.pattern import Layout

NAMES = ("BigBirdBlockSparseAttention", "BigBirdPegasusBlockSparseAttention")
_OLD_PLANS = (1024, 3072, 4096)  # lengths at which theirs draws as the paper's checkpoints did


class ConvertedBigBird(nn.Module):
    """Takes the place of a `BigBirdBlockSparseAttention`, with its weights under their names."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        for name in ("query", "key", "value"):
            self.add_module(name, getattr(theirs, name))
        self.training = theirs.training
        self._theirs = (theirs,)  # it draws the blocks; no module of ours, or weights were twice

    def forward(
        self,
        hidden_states: Tensor,
        band_mask: Tensor | None = None,
        from_mask: Tensor | None = None,
        to_mask: Tensor | None = None,
        from_blocked_mask: Tensor | None = None,
        to_blocked_mask: Tensor | None = None,
        output_attentions: bool = False,
        **others: Any,
    ) -> tuple[Tensor, None]:
        """What each token takes from the others, [B, T, C], and no weights.

        Args:
            hidden_states: [B, T, C].
            band_mask: Of no use here; `to_mask` says the same.
            from_mask: [B, 1, T, 1] 1 at places of the text.
            to_mask: [B, 1, 1, T] likewise.
            from_blocked_mask: Of no use here.
            to_blocked_mask: Of no use here.
            output_attentions: Must be False.
            others: What transformers hands through.

        Raises:
            ValueError: The text is no multiple of the block, or weights are asked for, which are
                never written down.
        """
        if output_attentions:
            raise ValueError(
                "output_attentions: the converted attention writes no weights down; ask the model "
                "for them before leanformer.attention.convert.convert, or load it again"
            )
        theirs, length = self._theirs[0], hidden_states.shape[1]
        size, heads = theirs.block_size, theirs.num_attention_heads
        if length % size:
            raise ValueError(
                f"hidden_states: {length} tokens are no multiple of the block of {size}; pad them"
            )
        query, key, value = (
            split_heads(self.get_submodule(name)(hidden_states), heads)
            for name in ("query", "key", "value")
        )
        keep_BT = None if to_mask is None else to_mask[:, 0, 0] > 0
        mixed = blocked_attention(
            query,
            key,
            value,
            None if keep_BT is None or bool(keep_BT.all()) else keep_BT,
            (Layout(sees=lambda query, key: query == query, size=size),),
            _readings(length, size, self._drawn(length, hidden_states.device)),
            False,
            sdpa(theirs.attention_head_size**-0.5, 0.0),
        )
        return join_heads(mixed if from_mask is None else mixed * from_mask), None

    def _drawn(self, length: int, device: torch.device) -> Tensor:
        """The blocks drawn for each block but the first and the last, [H, N - 2, R], as theirs."""
        theirs = self._theirs[0]
        theirs.training = self.training
        size, heads, count = (
            theirs.block_size,
            theirs.num_attention_heads,
            theirs.num_random_blocks,
        )
        if self.training:
            np.random.seed(theirs.seed)
        if length in _OLD_PLANS:
            most = theirs.max_seqlen
            drawn = [
                theirs._bigbird_block_rand_mask(most, most, size, size, count, last_idx=1024)
                for _ in range(heads)
            ]
            drawn = [one[: length // size - 2] for one in drawn]
        else:
            plan, counts = theirs._get_rand_attn_plan(length, size, count)
            drawn = theirs._bigbird_block_rand_mask_with_head(
                from_seq_length=length,
                to_seq_length=length,
                from_block_size=size,
                to_block_size=size,
                num_heads=heads,
                plan_from_length=plan,
                plan_num_rand_blocks=counts,
            )
        return torch.from_numpy(np.stack(drawn)).long().to(device)


def _readings(length: int, size: int, drawn_HNR: Tensor) -> Iterator[Reading]:
    """What each block of queries reads; nothing of it is hidden but padding."""
    last = length // size - 1
    none = torch.empty(0, dtype=torch.long, device=drawn_HNR.device)
    for one in range(last + 1):
        first, end = one * size, one * size + size
        if one in (0, last):
            yield Reading(first, end, tuple(range(last + 1)), none, None, None)
            continue
        blocks = tuple(sorted({0, one - 1, one, one + 1, last}))
        yield Reading(first, end, blocks, none, drawn_HNR[None, :, one - 1], None)
