import pytest
import torch

from leanformer.numerics.blocks import Quantized, block_max, block_mean, blocked


def test_a_block_is_a_rectangle_of_the_matrix():
    matrix = torch.arange(24.0).reshape(4, 6)
    parts = blocked(matrix, (2, 3))
    assert parts.shape == (2, 2, 2, 3)
    assert torch.equal(parts[1, :, 0], matrix[2:, :3])
    assert torch.equal(parts.reshape(4, 6), matrix)


def test_largest_and_mean_of_each_block():
    matrix = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    assert block_max(matrix, (2, 3))[0, 0, 1, 0] == matrix[:2, 3:].abs().max()
    torch.testing.assert_close(block_mean(matrix, (4, 6)).flatten()[0], matrix.mean())


def test_codes_minus_zero_point_times_scale():
    codes = torch.tensor([[1, 2, 3, 4]], dtype=torch.int8)
    scale = torch.tensor([0.5, 2.0]).reshape(1, 1, 2, 1)
    zero = torch.tensor([1, -1], dtype=torch.int8).reshape(1, 1, 2, 1)
    found = Quantized(codes, scale, zero, 4, (1, 2)).dequantized()
    assert found.tolist() == [[0.0, 0.5, 8.0, 10.0]]


def test_integer_kernels_want_a_scale_a_row_and_no_zero_point():
    codes, scale = torch.zeros(4, 6, dtype=torch.int8), torch.ones(4, 1, 1, 1)
    assert Quantized(codes, scale, None, 8, (1, 6)).row_scaled
    assert Quantized(codes, scale[:2], None, 8, (2, 6)).row_scaled
    assert not Quantized(codes, torch.ones(4, 1, 2, 1), None, 8, (1, 3)).row_scaled
    assert not Quantized(
        codes, scale, torch.zeros(4, 1, 1, 1, dtype=torch.int8), 8, (1, 6)
    ).row_scaled


@pytest.mark.parametrize("block", [(3, 6), (4, 4), (0, 6)])
def test_blocks_that_do_not_tile_are_refused(block):
    with pytest.raises(ValueError, match=f"block: {block[0]} x {block[1]} does not tile a weight"):
        blocked(torch.zeros(4, 6), block)
