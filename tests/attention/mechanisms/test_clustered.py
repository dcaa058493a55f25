from typing import Any

import pytest
import torch
from attention_cases import built, random_text
from torch.nn import functional as F

from leanformer.attention import Clustered


def test_it_is_the_attention_of_each_groups_mean() -> None:
    attention: Any = built(Clustered(clusters=4, bits=8, iterations=3))
    query, key, value = random_text(19)
    found = attention(query, key, value, scaling=0.7)
    group = attention.clusters.groups(query, torch.ones(2, 19, dtype=torch.bool))
    assert 1 < len(group[0, 0].unique()) <= 4
    for text in range(2):
        for head in range(4):
            for token in range(19):
                member = group[text, head] == group[text, head, token]
                mean = query[text, head, member].mean(0)
                weights = (0.7 * key[text, head] @ mean).softmax(0)
                torch.testing.assert_close(found[text, head, token], weights @ value[text, head])


def test_equal_queries_make_it_the_softmax() -> None:
    query, key, value = random_text(24)
    query = query[:, :, :3].repeat_interleave(8, 2)
    found = built(Clustered(clusters=6, bits=64))(query, key, value)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(query, key, value))


def test_gradients_go_through_the_means() -> None:
    query, key, value = random_text(15)
    query.requires_grad_()
    mixed = built(Clustered(clusters=3, bits=8))(query, key, value)
    (mixed[0, 0, 0].sum()).backward()
    assert query.grad is not None
    assert 1 < (query.grad[0, 0].abs().sum(-1) > 0).sum() < 15
    assert not query.grad[1].any()


def test_no_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="clusters: 0 is not at least 1"):
        Clustered(clusters=0)
