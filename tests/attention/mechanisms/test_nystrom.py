from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, random_text
from torch import Tensor

from leanformer.attention import Nystrom
from leanformer.attention.mechanisms.nystrom import convolved, pseudo_inverse, segment_weights


def softmax_matrix(size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 2, size, size, generator=generator, dtype=torch.float64).softmax(-1)


def test_segments_share_the_tokens_out_evenly() -> None:
    there = torch.tensor([13, 5, 3, 0])
    weights = segment_weights(20, there, 5, torch.float64)[:, 0]
    assert weights.shape == (4, 5, 20)
    sizes = (weights > 0).sum(-1)
    assert sizes.tolist() == [[3, 3, 2, 3, 2], [1] * 5, [1, 1, 1, 0, 0], [0] * 5]
    for row, count in enumerate(there.tolist()):
        assert ((weights[row] > 0).sum(0) == (torch.arange(20) < count)).all()
    torch.testing.assert_close(weights.sum(-1)[:2], torch.ones(2, 5, dtype=torch.float64))


def test_the_iteration_is_the_papers_and_ends_at_the_inverse() -> None:
    matrix = softmax_matrix(6)
    for text in range(3):
        for head in range(2):
            a = matrix[text, head]
            z = a.T / (a.abs().sum(0).max() * a.abs().sum(1).max())
            one = torch.eye(6, dtype=torch.float64)
            for _ in range(6):
                z = z @ (13 * one - a @ z @ (15 * one - a @ z @ (7 * one - a @ z))) / 4
            torch.testing.assert_close(pseudo_inverse(matrix)[text, head], z)
    torch.testing.assert_close(pseudo_inverse(matrix, 30), torch.linalg.pinv(matrix))


def test_unused_landmarks_do_not_touch_the_inverse() -> None:
    matrix = softmax_matrix(4)
    around = torch.nn.functional.pad(matrix, (0, 3, 0, 3))
    found = pseudo_inverse(around)
    torch.testing.assert_close(found[..., :4, :4], pseudo_inverse(matrix))
    assert not found[..., 4:, :].any()
    assert not found[..., :, 4:].any()


def test_as_many_landmarks_as_tokens_are_the_softmax() -> None:
    query, key, value = random_text(12)
    found = built(Nystrom(landmarks=64))(3 * query, 3 * key, value)
    exact = torch.nn.functional.scaled_dot_product_attention(3 * query, 3 * key, value)
    far = built(Nystrom(landmarks=2))(3 * query, 3 * key, value)
    assert (found - exact).norm() < 0.3 * (far - exact).norm()


def test_the_convolution_is_added_and_does_not_read_padding() -> None:
    attention: Any = built(Nystrom(landmarks=4, kernel_size=5))
    query, key, value = random_text(9)
    keep = torch.ones(2, 9, dtype=torch.bool)
    keep[0, 6:] = False
    value[0, :, 6:] = torch.nan
    found = attention(query, key, value, keep)
    kernel = attention.kernel.detach().clone()
    with torch.no_grad():
        attention.kernel.zero_()
    without = attention(query, key, value, keep)
    for text, there in enumerate((6, 9)):
        for head in range(4):
            for token in range(there):
                near = [(k, token + k - 2) for k in range(5) if 0 <= token + k - 2 < there]
                expected = sum(kernel[head, k] * value[text, head, at] for k, at in near)
                difference = found[text, head, token] - without[text, head, token]
                torch.testing.assert_close(difference, expected)


def test_a_new_convolution_adds_nothing() -> None:
    attention: Any = Nystrom(kernel_size=3).build(heads_of(Nystrom(), False))
    text = [x.float() for x in random_text(9)]
    assert torch.equal(attention(*text), Nystrom().build(heads_of(Nystrom(), False))(*text))
    assert not convolved(text[2], attention.kernel).any()


def test_it_is_learned_where_it_convolves() -> None:
    assert Nystrom(kernel_size=3).capabilities.learned
    assert not Nystrom().capabilities.learned
    assert not list(built(Nystrom()).parameters())


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="landmarks: 0 is not at least 1"):
        Nystrom(landmarks=0)
    with pytest.raises(ValueError, match="kernel_size: 4 tokens have no middle"):
        Nystrom(kernel_size=4)
