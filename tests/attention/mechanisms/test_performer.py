from typing import Any

import pytest
import torch
from attention_cases import built, random_text
from torch import Tensor

from leanformer.attention import Heads, Performer
from leanformer.attention.kernels.orthogonal import orthogonal_vectors
from leanformer.attention.mechanisms.performer import log_features


def estimate(attention: Any, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    """FAVOR+ as the paper writes it, in float64, kernel by kernel."""
    vectors = attention.vectors.double()
    query, key = (x.double() * query.shape[-1] ** -0.25 for x in (query, key))
    kernels = torch.zeros(*query.shape[:3], key.shape[2], dtype=torch.float64)
    for vector in vectors:
        asked = query @ vector - query.square().sum(-1) / 2
        read = key @ vector - key.square().sum(-1) / 2
        kernels += (asked[..., None] + read[:, :, None]).exp() / len(vectors)
    if causal:
        kernels = kernels.tril()
    return kernels @ value.double() / kernels.sum(-1, keepdim=True)


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_papers_estimator(causal: bool) -> None:
    attention = built(Performer(features=12), causal)
    text = random_text(13)
    torch.testing.assert_close(attention(*text), estimate(attention, *text, causal))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("std", [1.0, 2.0, 3.0, 4.0])
def test_single_precision_is_exact_at_every_scale(std: float, causal: bool) -> None:
    """The popular port is 94 to 100 % away here, or NaN."""
    heads = Heads(num_heads=2, num_kv_heads=2, head_dim=64, causal=causal)
    attention = Performer(features=256).build(heads)
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        scale * torch.randn(1, 2, 200, 64, generator=generator) for scale in (std, std, 1.0)
    )
    expected = estimate(attention, query, key, value, causal)
    found = attention(query, key, value)
    assert found.isfinite().all()
    assert (found - expected).norm() / expected.norm() < 3e-6


@pytest.mark.parametrize(("asked", "held"), [(1.0, 12.0), (12.0, 12.0), (30.0, 30.0)])
def test_no_row_of_a_causal_text_vanishes(asked: float, held: float) -> None:
    """Where single weights are far below what float32 can hold."""
    heads = Heads(num_heads=2, num_kv_heads=2, head_dim=64, causal=True)
    attention: Any = Performer(features=64).build(heads)
    generator = torch.Generator().manual_seed(0)
    text = [scale * torch.randn(1, 2, 90, 64, generator=generator) for scale in (asked, held, 1.0)]
    text[1][:, :, 45:] /= held  # ordinary keys, which dwarf the long ones before them
    query, key = (x.double() * 64**-0.25 for x in text[:2])
    query, key = (
        log_features(x, attention.vectors, query=first)
        for x, first in ((query, True), (key, False))
    )
    weights = (query[:, :, :, None] + key[:, :, None]).logsumexp(-1)
    later = torch.ones(90, 90, dtype=torch.bool).triu(1)
    expected = weights.masked_fill(later, -torch.inf).softmax(-1) @ text[2].double()
    inputs = [x.requires_grad_() for x in text]
    found = attention(*inputs)
    found.square().sum().backward()
    assert (found - expected).norm() / expected.norm() < 1e-4
    assert all(x.grad is not None and x.grad.isfinite().all() for x in inputs)


def test_the_kernel_is_unbiased() -> None:
    generator = torch.Generator().manual_seed(1)
    query, key = 0.5 * torch.randn(2, 8, generator=generator, dtype=torch.float64)
    found = []
    for seed in range(300):
        vectors = orthogonal_vectors(64, 8, torch.Generator().manual_seed(seed))
        asked = log_features(query, vectors, query=True) - query.square().sum() / 2
        found.append((asked + log_features(key, vectors, query=False)).exp().mean())
    mean, spread = torch.stack(found).mean(), torch.stack(found).std() / 300**0.5
    assert abs(mean - (query @ key).exp()) < 4 * spread


def test_more_features_are_nearer_to_the_softmax() -> None:
    query, key, value = random_text(40)
    text = (query / 2, key / 2, value)
    dense = torch.nn.functional.scaled_dot_product_attention(*text)
    few, many = (built(Performer(features=count))(*text) for count in (16, 4096))
    assert (many - dense).norm() < 0.3 * (few - dense).norm()


def test_vectors_can_be_drawn_anew() -> None:
    attention: Any = built(Performer(features=12))
    before, text = attention.vectors.clone(), random_text(9)
    first = attention(*text)
    attention.redraw(5)
    assert not torch.allclose(attention(*text), first)
    attention.redraw(0)
    assert torch.equal(attention.vectors, before)


def test_no_feature_is_refused() -> None:
    with pytest.raises(ValueError, match="features: 0 is not at least 1"):
        Performer(features=0)


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths: 'long'; it is 'gaussian' or 'equal'"):
        Performer(lengths="long")  # type: ignore[arg-type]
