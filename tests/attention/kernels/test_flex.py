"""FlexAttention against the dense mask. Uncompiled it is the same function, in milliseconds."""

from typing import Any

import pytest
import torch
from attention_cases import built, random_text
from torch.nn.attention.flex_attention import flex_attention

from leanformer.attention import (
    LSH,
    Blockwise,
    Fixed,
    GlobalTokens,
    Mechanism,
    RandomBlocks,
    SlidingWindow,
    Strided,
)
from leanformer.attention.heads import Heads
from leanformer.attention.hf.attach import attach
from leanformer.attention.kernels import flex
from leanformer.attention.kernels.flex import TILE, tiles_of
from leanformer.attention.kernels.layout import Grid
from leanformer.attention.presets import bigbird, longformer
from leanformer.models.tiny import tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
PATTERNS = [
    SlidingWindow(left=50, right=20),
    longformer(64, (0, 140)),
    bigbird(16, 3, 2),
    Strided(stride=10),
    Fixed(block_size=60, summary=3),
    Blockwise(block_size=32, shifts=(0, 1)),
    GlobalTokens(tokens=(3,)),
]


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flex, "_compiled", lambda: flex_attention)


def both(mechanism: Mechanism, causal: bool) -> tuple[Any, Any]:
    """The pattern by FlexAttention and by blocks."""
    by_flex: Any = built(mechanism, causal)
    by_blocks: Any = built(mechanism, causal)
    by_flex.backend, by_blocks.backend = "flex", "blocked"
    return by_flex, by_blocks


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 130, 300])
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda one: type(one).__name__)
def test_it_sees_what_the_blocks_see(pattern: Mechanism, causal: bool, length: int) -> None:
    text = random_text(length, 2)
    one, other = both(pattern, causal)
    torch.testing.assert_close(one(*text), other(*text), rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda one: type(one).__name__)
def test_hidden_places_are_hidden(pattern: Mechanism, causal: bool) -> None:
    """One text ends early, one begins late, one is not there at all."""
    text = random_text(270, 3)
    keep = torch.ones(3, 270, dtype=torch.bool)
    keep[0, 125:], keep[1, :131], keep[2] = False, False, False
    one, other = both(pattern, causal)
    found, expected = one(*text, keep), other(*text, keep)
    there = keep[:, None, :, None].expand_as(found)
    torch.testing.assert_close(found[there], expected[there], rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("uncompiled")
def test_flex_attention_is_what_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def noted(*qkv: Any, block_mask: Any, scale: float) -> Any:
        asked.append(block_mask)
        return flex_attention(*qkv, block_mask=block_mask, scale=scale)

    monkeypatch.setattr(flex, "_compiled", lambda: noted)
    one, other = both(SlidingWindow(left=128, right=128), False)
    text = random_text(1280, 1)
    one(*text), other(*text)
    assert len(asked) == 1
    assert asked[0].sparsity() == pytest.approx(100 * (1 - (3 * 10 - 2) / 10**2))


def test_a_window_has_few_kinds_of_tiles() -> None:
    heads = Heads(num_heads=4, num_kv_heads=4, head_dim=8)
    cpu = torch.device("cpu")
    layouts = SlidingWindow(left=200, right=200).layouts(Grid(length=4096, heads=heads, device=cpu))
    tiles = tiles_of(layouts, 4096, False, cpu)
    assert tiles.which.shape == (1, 4096 // TILE, 4096 // TILE)
    assert len(tiles.kinds) == 6  # empty, full, and two at each side


def test_random_blocks_have_tiles_of_each_head() -> None:
    heads = Heads(num_heads=4, num_kv_heads=4, head_dim=8)
    cpu = torch.device("cpu")
    pattern = RandomBlocks(num_random_blocks=1, block_size=128)
    tiles = tiles_of(pattern.layouts(Grid(length=1024, heads=heads, device=cpu)), 1024, False, cpu)
    assert tiles.which.shape[0] == 4
    assert (tiles.which == 1).sum(-1).eq(2).all()  # its own and a random one


def test_what_it_cannot_do_is_refused() -> None:
    one, _ = both(SlidingWindow(left=3, right=3), False)
    text = random_text(20)
    with pytest.raises(ValueError, match='drops no weights; set backend = "auto"'):
        one(*text, dropout=0.1)
    with pytest.raises(ValueError, match="has no gradients on a CPU"):
        one(*(x.requires_grad_() for x in text))
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match="FlexAttention computes patterns, and LSHAttention is"):
        attach(model, LSH(), backend="flex")


@pytest.mark.usefixtures("uncompiled")
def test_a_model_is_computed_by_it() -> None:
    model, _ = tiny_model("bert")
    ids = torch.arange(5, 35)[None]
    attach(model, SlidingWindow(left=4, right=4), backend="blocked")
    with torch.no_grad():
        expected = model(ids)[0]
        attach(model, SlidingWindow(left=4, right=4), backend="flex")
        torch.testing.assert_close(model(ids)[0], expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda one: type(one).__name__)
def test_compiled_on_a_gpu_with_gradients(pattern: Mechanism, causal: bool) -> None:
    heads = Heads(num_heads=4, num_kv_heads=4, head_dim=64, causal=causal)
    attention: Any = pattern.build(heads)
    generator = torch.Generator().manual_seed(0)
    text = [torch.randn(2, 4, 700, 64, generator=generator).cuda() for _ in range(3)]
    text = [x.requires_grad_() for x in text]
    keep = torch.ones(2, 700, dtype=torch.bool, device="cuda")
    at = torch.arange(700, device="cuda").expand(2, -1)
    expected = attention.reference(*text, keep, at, scaling=0.125)
    found = attention(*text)
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
    up = torch.randn(found.shape, generator=generator).cuda()
    for one, other in zip(
        torch.autograd.grad(found, text, up), torch.autograd.grad(expected, text, up), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)
