import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.prune.pattern import kept_units
from leanformer.prune.patterns import NOfM


@given(n=st.integers(1, 3), groups=st.integers(1, 5), rows=st.integers(1, 4))
def test_each_group_keeps_its_best(n: int, groups: int, rows: int) -> None:
    pattern = NOfM(n=n, m=4)
    scores = torch.randn(rows, 4 * groups)
    (kept,) = kept_units(pattern, [scores], pattern.max_sparsity())
    for row, mask in zip(scores.reshape(-1, 4), kept.reshape(-1, 4), strict=True):
        assert set(row.topk(n).indices.tolist()) == set(mask.nonzero().flatten().tolist())


def test_on_the_way_no_group_has_less_than_its_n() -> None:
    torch.manual_seed(0)
    scores = torch.rand(8, 16)
    (kept,) = kept_units(NOfM(), [scores], 0.3)
    assert kept.sum() == round(0.7 * 128)
    counts = kept.reshape(-1, 4).sum(-1)
    assert counts.min() >= 2
    gone, candidates = scores[~kept], scores[~NOfM().protected(scores)]
    assert gone.max() <= candidates.sort().values[len(gone) - 1]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="groups of 4 do not divide rows of 6 weights"):
        NOfM().units(torch.zeros(2, 6))
    with pytest.raises(ValueError, match="n: 4 of 4 is not a pattern"):
        NOfM(n=4)
