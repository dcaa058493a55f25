"""transformers' own efficient attention layers, and the same ones converted to our kernels."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from transformers import (
    BigBirdConfig,
    BigBirdModel,
    LongformerConfig,
    NystromformerConfig,
    ReformerConfig,
)
from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention
from transformers.models.nystromformer.modeling_nystromformer import NystromformerSelfAttention
from transformers.models.reformer.modeling_reformer import LSHSelfAttention

from leanformer.attention.convert import convert

WIDTH, HEADS = 512, 8
Layer = tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor]]
"""A layer, and how it is called on hidden states [1, T, 512]."""


def longformer(length: int) -> Layer:
    """A window of 256 on each side, the first token global."""
    config = LongformerConfig(hidden_size=WIDTH, num_attention_heads=HEADS, attention_window=[512])
    mask = torch.zeros(1, length)
    mask[:, 0] = 1

    def call(layer: nn.Module, hidden: Tensor) -> Tensor:
        return layer(hidden, mask, mask < 0, mask > 0, True)[0]

    return LongformerSelfAttention(config, layer_id=0), call


def bigbird(length: int) -> Layer:
    """Blocks of 64, three random ones."""
    config = BigBirdConfig(
        hidden_size=WIDTH, num_attention_heads=HEADS, block_size=64, num_random_blocks=3
    )
    masks = BigBirdModel.create_masks_for_block_sparse_attn(torch.ones(1, length), 64)
    blocked, band, rows, columns = masks

    def call(layer: nn.Module, hidden: Tensor) -> Tensor:
        return layer(hidden, band, rows, columns, blocked, blocked)[0]

    return BigBirdBlockSparseAttention(config, seed=0), call


def nystromformer(length: int) -> Layer:
    """64 landmarks and a convolution over 65 tokens, as in its checkpoints."""
    config = NystromformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        segment_means_seq_len=length,
        num_landmarks=64,
        conv_kernel_size=65,
        inv_coeff_init_option=False,
    )
    return NystromformerSelfAttention(config), lambda layer, hidden: layer(hidden)[0]


def reformer_lsh(length: int) -> Layer:
    """Two rounds of hashes, chunks of 64."""
    config = ReformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        attention_head_size=WIDTH // HEADS,
        num_buckets=2 * length // 64,
        num_hashes=2,
        hash_seed=0,
        is_decoder=False,
        lsh_attn_chunk_length=64,
    )
    return LSHSelfAttention(config), lambda layer, hidden: layer(hidden).hidden_states


LAYERS: dict[str, Callable[[int], Layer]] = {
    "Longformer layer / transformers": longformer,
    "BigBird layer / transformers": bigbird,
    "Nyströmformer layer / transformers": nystromformer,
    "Reformer LSH layer / transformers": reformer_lsh,
}


def layer_calls(
    made: Layer, length: int, backward: bool, *, checked: bool = True
) -> Mapping[str, Callable[[], None]]:
    """A layer and itself converted, held against each other if asked, and ready to be timed."""
    theirs, call = made
    holder = nn.ModuleDict({"layer": copy.deepcopy(theirs.eval())})
    convert(holder)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, length, WIDTH, generator=generator)
    if checked:
        with torch.no_grad():
            found, expected = (call(layer, hidden) for layer in (holder["layer"], theirs))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    return {
        name: _timed(layer, call, hidden, backward)
        for name, layer in (("ours", holder["layer"]), ("theirs", theirs))
    }


def _timed(
    layer: nn.Module, call: Callable[[nn.Module, Tensor], Tensor], hidden: Tensor, backward: bool
) -> Callable[[], None]:
    up = torch.randn_like(hidden)

    def once() -> None:
        if not backward:
            with torch.no_grad():
                call(layer, hidden)
            return
        layer.zero_grad()
        call(layer, hidden.clone().requires_grad_()).backward(up)

    return once
