import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.prune.pattern import kept_units
from leanformer.prune.patterns import Unstructured


@given(rows=st.integers(1, 6), columns=st.integers(1, 6), sparsity=st.floats(0, 0.99))
def test_exactly_the_asked_sparsity_is_reached_also_among_equals(
    rows: int, columns: int, sparsity: float
) -> None:
    for scores in (torch.zeros(rows, columns), torch.randn(rows, columns)):
        (kept,) = kept_units(Unstructured(), [scores], sparsity)
        assert kept.sum() == max(1, round((1 - sparsity) * rows * columns))
        if not kept.all():
            assert scores[kept].min() >= scores[~kept].max()


def test_all_weights_together_keep_the_share_and_each_keeps_one() -> None:
    large, small = torch.rand(10, 10) + 10, torch.rand(5, 10)
    kept = kept_units(Unstructured(), [large, small], 0.5, "global")
    assert sum(int(mask.sum()) for mask in kept) == 75
    assert kept[1].sum() == 1
    assert kept[1].flatten()[small.argmax()]
    assert [mask.shape for mask in kept] == [(10, 10), (5, 10)]
