import pytest
import torch

from leanformer.prune.pattern import kept_units
from leanformer.prune.patterns import Blocks

PATTERN = Blocks(rows=2, columns=3)


def test_blocks_are_scored_by_their_mean_and_go_as_a_whole() -> None:
    scores = torch.randn(4, 9)
    units = PATTERN.units(scores)
    assert units.shape == (2, 3)
    torch.testing.assert_close(units[1, 2], scores[2:4, 6:9].mean())
    (kept,) = kept_units(PATTERN, [units], 0.5)
    mask = PATTERN.spread(kept, (4, 9))
    assert mask.shape == (4, 9)
    assert mask.sum() == 3 * 6
    for row in range(2):
        for column in range(3):
            tile = mask[2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
            assert (tile == kept[row, column]).all()


def test_gradients_of_a_block_are_the_sum_of_its_weights() -> None:
    units = torch.zeros(2, 3, requires_grad=True)
    slope = torch.randn(4, 9)
    (PATTERN.spread(units, (4, 9)) * slope).sum().backward()
    assert units.grad is not None
    torch.testing.assert_close(units.grad, 6 * PATTERN.units(slope))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks of 2 x 3 do not tile a weight of 4 x 8"):
        PATTERN.units(torch.zeros(4, 8))
    with pytest.raises(ValueError, match="rows: 0 is not at least 1"):
        Blocks(rows=0)
