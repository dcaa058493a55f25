from dataclasses import replace

import pytest
import torch
from distill.objectives.naive import KEEP, attention

from leanformer.distill.comparisons.attention_pairs import check_heads, heads_of, visible


def test_a_pair_counts_where_both_tokens_are_real_and_both_models_look() -> None:
    plain = attention(2, 3)
    causal = replace(plain, allowed=torch.ones(1, 1, 7, 7).tril().bool())
    near = replace(plain, allowed=torch.ones(2, 1, 7, 7).triu(-1).bool())
    for ours, theirs in ((plain, plain), (causal, plain), (near, causal)):
        found = visible(ours, theirs, KEEP)
        for b in range(2):
            for t in range(7):
                for s in range(7):
                    late = s > t and (causal is ours or causal is theirs)
                    far = s < t - 1 and near is ours
                    real = bool(KEEP[b, t]) and bool(KEEP[b, s])
                    assert found[b, t, s] == (real and not late and not far)


def test_heads_are_counted_and_compared_where_layers_are() -> None:
    assert heads_of([attention(2, 3), attention(5, 3)]) == [2, 5]
    check_heads([2, 4], [4, 2, 4], [(0, 1), (1, 2)], "cut none")
    with pytest.raises(
        ValueError,
        match=r"heads: layer 1 of the student has 4 and layer 1 of the teacher 2, but .*; cut none",
    ):
        check_heads([2, 4], [4, 2, 4], [(0, 1), (1, 1)], "cut none")
