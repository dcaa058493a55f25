from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, places

from leanformer.attention.presets import bigbird, longformer, mechanisms


def test_longformer_is_its_window_and_its_global_tokens() -> None:
    attention: Any = built(longformer(window=4, tokens=(0,)))
    sees = attention.pattern_mask(places(17, 1), 17)[0, 0]
    assert sees[8].nonzero().flatten().tolist() == [0, 6, 7, 8, 9, 10]
    assert sees[0].all()
    assert sees[:, 0].all()
    with pytest.raises(ValueError, match="window: 5 cannot be halved"):
        longformer(window=5)


def test_bigbird_sees_window_first_block_and_random_blocks() -> None:
    attention: Any = built(bigbird(block_size=4, num_random_blocks=2))
    sees = attention.pattern_mask(places(80, 1), 80)[0]
    assert sees[:, :4].all()
    assert sees[:, :, :4].all()
    row = sees[1, 50]
    assert row[44:56].all()
    assert row.sum() <= 4 + 12 + 2 * 4
    assert not torch.equal(sees[0], sees[1])
    with pytest.raises(ValueError, match="window: 4 blocks have no middle"):
        bigbird(window=4)


def test_every_preset_can_be_built() -> None:
    for name, mechanism in mechanisms().items():
        attention = mechanism.build(heads_of(mechanism, False, width=64))
        assert attention.heads.head_dim == 64, name
