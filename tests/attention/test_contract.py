"""What every mechanism of attention keeps, whatever it is."""

from typing import Any

import pytest
import torch
from attention_cases import EXAMPLES, built, heads_of, label, places, random_text
from torch import Tensor

import leanformer.attention as home
from leanformer.attention import Heads, Mechanism
from leanformer.attention.positions import at_places, each_head, text_first
from leanformer.core.codec import decode, encode
from leanformer.core.technique import families

ALL = [
    pytest.param(mechanism, causal, id=f"{label(mechanism)}-{'causal' if causal else 'both'}")
    for mechanism in EXAMPLES
    for causal in (False, True)
    if not (causal and mechanism.capabilities.causal == "no")
]
CAUSAL = [param for param in ALL if param.values[1]]
STRICT = [param for param in CAUSAL if param.values[0].capabilities.causal == "exact"]  # type: ignore[attr-defined]
MECHANISMS = [pytest.param(mechanism, id=label(mechanism)) for mechanism in EXAMPLES]
every_mechanism = pytest.mark.parametrize(("mechanism", "causal"), ALL)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def padded(x: Tensor, before: int, after: int, fill: float = 7.0) -> Tensor:
    """Texts with hidden places around them, [B, H, T, D]."""
    return torch.nn.functional.pad(x, (0, 0, before, after), value=fill)


def quadratic(attention: Any, text: Any, keep: Tensor | None = None) -> Tensor:
    """The reference for whole texts that hidden places surround, as `forward` would call it."""
    query, key, value = text
    batch, _, length, width = query.shape
    keep = torch.ones(batch, length, dtype=torch.bool) if keep is None else keep
    key, value = (each_head(x, 4 // key.shape[1]) for x in (key, value))
    order = text_first(keep)
    query, key, value = (at_places(x, order) for x in (query, key, value))
    mixed = attention.reference(
        query, key, value, keep.gather(1, order), places(length, batch), scaling=width**-0.5
    )
    return at_places(mixed, order.argsort(1))


def test_every_registered_mechanism_has_an_example() -> None:
    assert home
    names = {mechanism.technique for mechanism in EXAMPLES}  # type: ignore[attr-defined]
    assert names == set(families()["mechanism"])


@every_mechanism
@pytest.mark.parametrize("length", [1, 2, 13, 67, 291])
def test_it_equals_its_reference(mechanism: Mechanism, causal: bool, length: int) -> None:
    attention = built(mechanism, causal)
    text = random_text(length)
    torch.testing.assert_close(attention(*text), quadratic(attention, text), **EXACT)


@every_mechanism
@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_it_equals_its_reference_with_hidden_places(
    mechanism: Mechanism, causal: bool, side: str
) -> None:
    attention = built(mechanism, causal)
    keep = torch.ones(3, 41, dtype=torch.bool)
    for row, hidden in enumerate((0, 9, 33)):
        if side != "right":
            keep[row, : hidden // 2] = False
        if side != "left":
            keep[row, 41 - hidden + hidden // 2 :] = False
    text = random_text(41, 3)
    found, expected = attention(*text, keep), quadratic(attention, text, keep)
    shown = keep[:, None, :, None].expand_as(found)
    torch.testing.assert_close(found[shown], expected[shown], **EXACT)


@every_mechanism
@pytest.mark.parametrize(("before", "after"), [(0, 1), (0, 150), (1, 0), (37, 0), (20, 140)])
def test_hidden_places_are_as_if_they_were_not_there(
    mechanism: Mechanism, causal: bool, before: int, after: int
) -> None:
    attention = built(mechanism, causal)
    text = random_text(29)
    alone = attention(*text)
    keep = torch.ones(2, 29, dtype=torch.bool)
    keep = torch.nn.functional.pad(keep, (before, after), value=False)
    for fill in (7.0, -1e4):
        around = (padded(x, before, after, fill) for x in text)
        beside = attention(*around, keep)[:, :, before : before + 29]
        torch.testing.assert_close(beside, alone, **EXACT)


@every_mechanism
def test_other_texts_of_the_batch_change_nothing(mechanism: Mechanism, causal: bool) -> None:
    attention = built(mechanism, causal)
    text = random_text(37, 3)
    keep = torch.ones(3, 37, dtype=torch.bool)
    keep[1, 20:] = False
    together = attention(*text, keep)
    for row in range(3):
        alone = attention(*(x[row : row + 1] for x in text), keep[row : row + 1])
        shown = keep[row]
        torch.testing.assert_close(together[row : row + 1, :, shown], alone[:, :, shown], **EXACT)


@pytest.mark.parametrize(("mechanism", "causal"), STRICT)
@pytest.mark.parametrize("length", [40, 270])
def test_nothing_of_the_future_is_seen(mechanism: Mechanism, causal: bool, length: int) -> None:
    attention = built(mechanism, causal)
    text, other = random_text(length), random_text(length, seed=1)
    since = length * 3 // 5
    changed = [
        torch.cat([one[:, :, :since], two[:, :, since:]], 2)
        for one, two in zip(text, other, strict=True)
    ]
    before, after = attention(*text), attention(*changed)
    torch.testing.assert_close(before[:, :, :since], after[:, :, :since], **EXACT)
    assert not torch.allclose(before[:, :, since:], after[:, :, since:])


@pytest.mark.parametrize(("mechanism", "causal"), STRICT)
@pytest.mark.parametrize("hidden", [0, 6])
def test_a_step_of_decoding_is_the_last_row(
    mechanism: Mechanism, causal: bool, hidden: int
) -> None:
    attention = built(mechanism, causal)
    query, key, value = random_text(23)
    keep = torch.ones(2, 23, dtype=torch.bool)
    keep[0, :hidden] = False
    whole = attention(query, key, value, keep)
    for tokens in (1, 5):
        last = attention(query[:, :, -tokens:], key, value, keep)
        torch.testing.assert_close(last, whole[:, :, -tokens:], **EXACT)
    room = (padded(x, 0, 10) for x in (key, value))  # a cache that was allocated beforehand
    seen = torch.nn.functional.pad(keep, (0, 10), value=True)
    torch.testing.assert_close(attention(query, *room, seen, offset=0), whole, **EXACT)


@every_mechanism
def test_shared_key_heads_are_repeated_ones(mechanism: Mechanism, causal: bool) -> None:
    few, many = built(mechanism, causal, kv=2), built(mechanism, causal)
    many.load_state_dict(few.state_dict())
    query, key, value = random_text(19, kv=2)
    found = few(query, key, value)
    torch.testing.assert_close(found, many(query, each_head(key, 2), each_head(value, 2)), **EXACT)


@every_mechanism
def test_a_text_without_any_place_is_zero_and_its_gradients_are_finite(
    mechanism: Mechanism, causal: bool
) -> None:
    attention = built(mechanism, causal)
    text = [x.requires_grad_() for x in random_text(17)]
    keep = torch.ones(2, 17, dtype=torch.bool)
    keep[1] = False
    mixed = attention(*text, keep)
    assert torch.equal(mixed[1], torch.zeros_like(mixed[1]))
    mixed.square().sum().backward()
    assert text[2].grad is not None
    for x in text:
        assert x.grad is None or x.grad.isfinite().all()  # learned scores read no keys
    assert all(p.grad is None or p.grad.isfinite().all() for p in attention.parameters())


@every_mechanism
def test_its_gradients_are_those_of_finite_differences(mechanism: Mechanism, causal: bool) -> None:
    attention = built(mechanism, causal, width=2)
    text = [x[:1].clone().requires_grad_() for x in random_text(9, width=2)]
    keep = torch.ones(1, 9, dtype=torch.bool)
    keep[0, 7:] = False
    assert torch.autograd.gradcheck(lambda *qkv: attention(*qkv, keep), text, fast_mode=True)


@every_mechanism
def test_it_leaves_the_global_random_state_alone(mechanism: Mechanism, causal: bool) -> None:
    attention = built(mechanism, causal)
    text = random_text(21)
    torch.manual_seed(5)
    expected = torch.rand(())
    torch.manual_seed(5)
    first = attention(*text)
    assert torch.equal(torch.rand(()), expected)
    torch.manual_seed(6)
    assert torch.equal(attention(*text), first)


@every_mechanism
def test_its_state_makes_it_again(mechanism: Mechanism, causal: bool) -> None:
    attention = built(mechanism, causal)
    torch.manual_seed(1)
    other = mechanism.build(heads_of(mechanism, causal)).double().eval()
    other.load_state_dict(attention.state_dict())
    text = random_text(21)
    assert torch.equal(attention(*text), other(*text))


@every_mechanism
def test_half_precision_is_close(mechanism: Mechanism, causal: bool) -> None:
    attention = built(mechanism, causal)
    text = random_text(50)
    exact = attention(*text)
    rough = attention.to(torch.bfloat16)(*(x.to(torch.bfloat16) for x in text))
    assert rough.dtype == torch.bfloat16
    if not attention.data_dependent:
        torch.testing.assert_close(rough.double(), exact, rtol=0.1, atol=0.1)
    single = built(mechanism, causal).float()(*(x.float() for x in text))
    assert single.dtype == torch.float32


@every_mechanism
def test_autocast_rounds_no_more_than_half_precision(mechanism: Mechanism, causal: bool) -> None:
    """Padding too: what is masked in float32 must not meet numbers that autocast has rounded."""
    attention = built(mechanism, causal).float()
    text = [x.to(torch.bfloat16) for x in random_text(50)]
    keep = torch.ones(2, 50, dtype=torch.bool)
    keep[1, 30:] = False
    exact = attention(*(x.float() for x in text), keep)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = attention(*text, keep)
    assert rough.dtype == torch.bfloat16
    if not attention.data_dependent:
        torch.testing.assert_close(rough.float(), exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_its_dropout_is_refused_or_drops(mechanism: Mechanism) -> None:
    attention = built(mechanism)
    text = random_text(30)
    if not mechanism.capabilities.dropout:
        with pytest.raises(ValueError, match=r"dropout: 0\.5 of the weights cannot be dropped"):
            attention(*text, dropout=0.5)
        return
    torch.manual_seed(0)
    some = [attention(*text, dropout=0.5) for _ in range(400)]
    assert not torch.allclose(some[0], some[1])
    mean, spread = torch.stack(some).mean(0), torch.stack(some).std(0)
    off = (mean - attention(*text)).abs() / (spread / 400**0.5).clamp(min=1e-12)
    assert off.mean() < 1.5  # of a normal variable it is 0.8


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_other_heads_are_refused(mechanism: Mechanism) -> None:
    attention = built(mechanism)
    text = random_text(9, width=6)
    with pytest.raises(ValueError, match="was built for"):
        attention(*text)
    with pytest.raises(ValueError, match="cannot serve 4 query heads evenly"):
        Heads(num_heads=4, num_kv_heads=3, head_dim=8)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_keys_of_another_text_are_refused_or_attended(mechanism: Mechanism) -> None:
    attention = built(mechanism)
    query, key, value = random_text(9)
    if mechanism.capabilities.cross:
        assert attention(query[:, :, :4], key, value).shape == query[:, :, :4].shape
        return
    with pytest.raises(ValueError, match="within one text"):
        attention(query[:, :, :4], key, value)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_it_survives_the_codec_and_names_its_cost(mechanism: Mechanism) -> None:
    assert decode(Mechanism, encode(mechanism)) == mechanism
    heads = heads_of(mechanism, False)
    short, long = (mechanism.cost(heads, length) for length in (1024, 4096))
    assert 0 < short.flops < long.flops


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_causal_layers_are_refused_where_they_must_be(mechanism: Mechanism) -> None:
    if mechanism.capabilities.causal == "no":
        with pytest.raises(ValueError, match="the layer is causal"):
            mechanism.build(heads_of(mechanism, True))
    if mechanism.capabilities.fixed_length:
        with pytest.raises(ValueError, match="one parameter a place"):
            mechanism.build(Heads(num_heads=4, num_kv_heads=4, head_dim=8))
