from typing import Any

import pytest
import torch
from attention_cases import built, random_text

from leanformer.attention import PerformerRelu


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("features", [None, 20])
def test_it_is_the_papers_sum(features: int | None, causal: bool) -> None:
    attention: Any = built(PerformerRelu(features=features), causal)
    query, key, value = random_text(13)
    asked, read = (x * 8**-0.25 for x in (query, key))
    if features is not None:
        asked, read = (torch.einsum("bhtd,md->bhtm", x, attention.vectors) for x in (asked, read))
    asked, read = (x.clamp(min=0) + 1e-3 for x in (asked, read))
    kernels = torch.einsum("bhtm,bhsm->bhts", asked, read)
    kernels = kernels.tril() if causal else kernels
    expected = kernels @ value / kernels.sum(-1, keepdim=True)
    torch.testing.assert_close(attention(query, key, value), expected)


def test_no_feature_is_refused() -> None:
    with pytest.raises(ValueError, match="features: 0 is not at least 1"):
        PerformerRelu(features=0)
