"""A pattern as a mask of dense attention, for whoever compares scores."""

import pytest
import torch
from attention_cases import EXAMPLES, built, label, random_text

from leanformer.attention import Linear, Pattern
from leanformer.attention.kernels.dense import dense_attention
from leanformer.attention.mechanism import Mechanism

PATTERNS = [one for one in EXAMPLES if isinstance(one, Pattern)]
KEEP = torch.ones(3, 37, dtype=torch.bool)
KEEP[0, 20:] = False
KEEP[1, :9] = False
KEEP[1, 30] = False


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
@pytest.mark.parametrize("mechanism", PATTERNS, ids=label)
def test_dense_attention_under_its_mask_is_the_pattern(mechanism: Mechanism, causal: bool) -> None:
    attention, text = built(mechanism, causal), random_text(37, batch=3)
    mask = attention.dense_mask(KEEP)
    assert mask is not None
    assert len(mask) in (1, 3)
    assert mask.shape[2:] == (37, 37)
    found = dense_attention(*text, mask, scaling=8**-0.5)
    expected = attention(*text, KEEP)
    for row, keep in enumerate(KEEP):
        torch.testing.assert_close(found[row, :, keep], expected[row, :, keep])


def test_what_is_not_softmax_attention_has_no_mask() -> None:
    assert built(Linear()).dense_mask(KEEP) is None
