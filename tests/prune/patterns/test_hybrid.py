import pytest
import torch

from leanformer.prune.patterns import Hybrid


def test_neurons_of_oblong_matrices_and_blocks_of_square_ones() -> None:
    pattern = Hybrid(block_size=2)
    up, down, square = torch.randn(6, 4), torch.randn(4, 6), torch.randn(4, 4)
    torch.testing.assert_close(pattern.units(up), up.mean(1, keepdim=True))
    torch.testing.assert_close(pattern.units(down), down.mean(0, keepdim=True))
    assert pattern.units(square).shape == (2, 2)
    for scores in (up, down, square):
        units = pattern.units(scores)
        spread = pattern.spread(units, tuple(scores.shape))
        assert spread.shape == scores.shape
        torch.testing.assert_close(pattern.units(spread), units)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks of 3 x 3 do not tile a weight of 4 x 4"):
        Hybrid(block_size=3).units(torch.zeros(4, 4))
    with pytest.raises(ValueError, match="block_size: 0 is not at least 1"):
        Hybrid(block_size=0)
