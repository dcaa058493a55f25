import pytest
import torch

from leanformer.attention.kernels.fixed_length import refuse_longer


def test_padding_behind_the_places_passes_and_a_token_does_not() -> None:
    keep = torch.ones(2, 7, dtype=torch.bool)
    keep[:, 5:] = False
    refuse_longer(7, keep, 5)
    refuse_longer(5, None, 5)
    keep[1, 5] = True
    for mask in (keep, None):
        with pytest.raises(ValueError, match=r"texts of 7 places and parameters for 5.*larger"):
            refuse_longer(7, mask, 5)
