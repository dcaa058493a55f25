"""Gradient checkpointing runs layers again: the same draws, the same choices, the same gradients."""

from typing import Any

import pytest
import torch
from attached_cases import two_texts
from torch.utils.checkpoint import checkpoint
from transformers import BigBirdConfig, LongformerConfig

from leanformer.attention import Mechanism, Routing
from leanformer.attention.convert import convert
from leanformer.attention.hf.attach import attach
from leanformer.attention.presets import mechanisms
from leanformer.models.tiny import tiny_model

EVERY = {**mechanisms(), "routing": Routing(clusters=3, window=4, decay=0.2),
    "balanced-routing": Routing(clusters=3, window=4, balanced=True, decay=0.2)}  # fmt: skip
WAYS: dict[str, dict[str, bool] | None] = {
    "once": None,
    "reentrant": {"use_reentrant": True},
    "not-reentrant": {"use_reentrant": False},
}


def trained(mechanism: Mechanism, way: str) -> list[torch.Tensor]:
    """The gradients of each of three steps of a training, with every dropout that there is."""
    torch.manual_seed(0)
    model, _ = tiny_model("bert")
    attach(model, mechanism)
    if WAYS[way]:
        model.gradient_checkpointing_enable(WAYS[way])
    for layer in model.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.1 if mechanism.capabilities.dropout else 0.0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    found = []
    for _ in range(3):
        optimizer.zero_grad()
        model(**two_texts()).logits.square().sum().backward()
        found += [p.grad.clone() for p in model.parameters() if p.grad is not None]
        optimizer.step()
    return found


@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_those_of_a_single_run(name: str) -> None:
    expected = trained(EVERY[name], "once")
    for way in ("reentrant", "not-reentrant"):
        for one, other in zip(trained(EVERY[name], way), expected, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("seed", [None, 3])
def test_blocks_that_bigbird_draws_are_drawn_again(seed: int | None, reentrant: bool) -> None:
    from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention

    config = BigBirdConfig(
        hidden_size=32, num_attention_heads=4, block_size=16, num_random_blocks=2
    )
    holder: Any = torch.nn.ModuleDict({"layer": BigBirdBlockSparseAttention(config, seed=0)})
    convert(holder)
    layer = holder["layer"].train()
    layer.seed = seed
    hidden = torch.randn(1, 256, 32, generator=torch.Generator().manual_seed(0))
    gradients = []
    for again in (False, True):
        torch.manual_seed(1)
        x = hidden.clone().requires_grad_()
        run = lambda y: layer(y)[0]  # noqa: E731
        mixed = checkpoint(run, x, use_reentrant=reentrant) if again else run(x)
        mixed.square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("reentrant", [True, False])
def test_converted_layers_are_the_same_again(reentrant: bool) -> None:
    from transformers import LongformerModel

    config = LongformerConfig(
        hidden_size=32, num_attention_heads=4, num_hidden_layers=2, intermediate_size=64,
        attention_window=8, vocab_size=60, max_position_embeddings=70, pad_token_id=1,
    )  # fmt: skip
    gradients = []
    for again in (False, True):
        torch.manual_seed(0)
        model = LongformerModel(config).train()
        convert(model)
        if again:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        model(**two_texts(32)).last_hidden_state.square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
