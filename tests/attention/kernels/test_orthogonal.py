import torch

from leanformer.attention.kernels.orthogonal import orthogonal_vectors


def test_vectors_of_a_block_are_orthogonal() -> None:
    drawn = orthogonal_vectors(20, 8, torch.Generator().manual_seed(0)).double()
    for block in (drawn[:8], drawn[8:16], drawn[16:]):
        products = block @ block.T
        off = products - products.diagonal().diag()
        assert off.abs().max() < 1e-4
    assert drawn[:8].T.matmul(drawn[8:16]).abs().max() > 0.1


def test_lengths_can_be_all_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = orthogonal_vectors(20, 16, generator, lengths="equal")
    torch.testing.assert_close(drawn.norm(dim=-1), torch.full((20,), 4.0))
    assert (drawn[:16] @ drawn[:16].T - 16 * torch.eye(16)).abs().max() < 1e-4


def test_lengths_are_those_of_gaussian_vectors() -> None:
    drawn = orthogonal_vectors(4000, 16, torch.Generator().manual_seed(0))
    squares = drawn.square().sum(-1)
    assert abs(squares.mean() - 16) < 0.5
    assert abs(squares.var() - 32) < 4
    assert drawn.mean(0).abs().max() < 0.1
