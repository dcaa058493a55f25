import pytest
import torch

from leanformer.attention import Linear, Linformer, SlidingWindow
from leanformer.attention.bench.picture import picture, weights


def test_the_weights_of_a_mechanism_are_what_it_sees() -> None:
    found = weights(SlidingWindow(left=3, right=1), 40)
    assert found.shape == (4, 40, 40)
    torch.testing.assert_close(found.sum(-1), torch.ones(4, 40))
    assert (found[:, 20] > 0).sum(-1).tolist() == [5] * 4
    causal = weights(Linear(), 40, causal=True)
    assert torch.equal(causal, causal.tril())


def test_a_picture_has_64_rows_of_shares() -> None:
    cells = picture(SlidingWindow(left=16, right=16), 256)
    assert len(cells) == len(cells[0]) == 64
    assert all(max(row) == 1 for row in cells)
    assert cells[0][63] == 0


def test_a_mechanism_that_cannot_be_causal_has_no_causal_picture() -> None:
    with pytest.raises(ValueError, match="the layer is causal"):
        picture(Linformer(), causal=True)
