from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, random_text

from leanformer.attention import Linformer

SHARINGS = ("none", "headwise", "key-value")


@pytest.mark.parametrize("sharing", SHARINGS)
def test_it_is_the_equation_of_the_paper(sharing: Any) -> None:
    attention: Any = built(Linformer(rank=5, sharing=sharing))
    query, key, value = random_text(17)
    found = attention(query, key, value, scaling=0.3)
    for text in range(2):
        for head in range(4):
            one = attention.projection[:, head if sharing == "none" else 0, :, :17]
            slots = one[0] @ key[text, head]
            weights = (0.3 * query[text, head] @ slots.T).softmax(-1)
            expected = weights @ (one[-1] @ value[text, head])
            torch.testing.assert_close(found[text, head], expected, rtol=1e-12, atol=1e-12)


def test_there_are_as_many_matrices_as_are_shared() -> None:
    shapes = [tuple(built(Linformer(rank=5, sharing=s)).projection.shape) for s in SHARINGS]
    assert shapes == [(2, 4, 5, 300), (2, 1, 5, 300), (1, 1, 5, 300)]


def test_layers_share_a_matrix_that_is_assigned() -> None:
    first: Any = built(Linformer(rank=5, sharing="key-value"))
    second: Any = Linformer(rank=5, sharing="key-value").build(heads_of(Linformer(), False))
    second.projection = first.projection
    text = random_text(11)
    assert torch.equal(first(*text), second(*text))
    (first(*text) + second(*text)).square().sum().backward()
    both = first.projection.grad.clone()
    first.projection.grad = None
    (2 * first(*text)).square().sum().backward()
    torch.testing.assert_close(first.projection.grad, both)
    assert len({id(p) for layer in (first, second) for p in layer.parameters()}) == 1


def test_slots_are_about_as_large_as_tokens_at_first() -> None:
    torch.manual_seed(0)
    attention: Any = Linformer(rank=64).build(heads_of(Linformer(), False))
    key = random_text(300).key.float()
    slots = attention.projection[0] @ key
    assert 0.8 < slots.std() / key.std() < 1.25


def test_other_texts_keys_are_projected_as_well() -> None:
    attention: Any = built(Linformer(rank=5))
    query, key, value = random_text(9)
    keep = torch.ones(2, 9, dtype=torch.bool)
    keep[:, :4] = False
    found = attention(query[:, :, :3], key, value, keep)
    slots, mixed = (
        m @ x[:, :, 4:] for m, x in zip(attention.projection[..., :5], (key, value), strict=True)
    )
    expected = (query[:, :, :3] @ slots.mT * 8**-0.5).softmax(-1) @ mixed
    torch.testing.assert_close(found, expected)


def test_longer_texts_are_refused_and_longer_padding_is_not() -> None:
    attention = built(Linformer(rank=5))
    text = random_text(301)
    with pytest.raises(ValueError, match="texts of 301 places and parameters for 300"):
        attention(*text)
    keep = torch.ones(2, 301, dtype=torch.bool)
    keep[:, 20:] = False
    alone = attention(*(x[:, :, :20] for x in text))
    torch.testing.assert_close(attention(*text, keep)[:, :, :20], alone)


def test_no_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="rank: 0 is not at least 1"):
        Linformer(rank=0)
