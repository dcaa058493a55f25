from typing import Any

import pytest
import torch
from attention_cases import built, random_text
from torch.nn import functional as F

from leanformer.attention import Clustered, ImprovedClustered
from leanformer.attention.mechanisms.improved_clustered import slots


def test_it_is_the_equation_of_the_paper() -> None:
    attention: Any = built(ImprovedClustered(clusters=4, topk=5, bits=8, iterations=3))
    query, key, value = random_text(19)
    found = attention(query, key, value, scaling=0.7)
    group = attention.clusters.groups(query, torch.ones(2, 19, dtype=torch.bool))
    for text in range(2):
        for head in range(4):
            for token in range(19):
                member = group[text, head] == group[text, head, token]
                shared = (0.7 * key[text, head] @ query[text, head, member].mean(0)).softmax(0)
                best = shared.argsort(descending=True)[:5]
                own = (0.7 * key[text, head, best] @ query[text, head, token]).softmax(0)
                weights = shared.clone()
                weights[best] = shared[best].sum() * own
                torch.testing.assert_close(weights.sum(), torch.ones_like(weights.sum()))
                torch.testing.assert_close(found[text, head, token], weights @ value[text, head])


def test_all_keys_among_the_best_are_the_softmax() -> None:
    query, key, value = random_text(30)
    found = built(ImprovedClustered(clusters=2, topk=30))(query, key, value)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(query, key, value))


def test_it_is_nearer_to_the_softmax_than_groups_alone() -> None:
    query, key, value = random_text(80)
    exact = F.scaled_dot_product_attention(query, key, value)
    groups = built(Clustered(clusters=4))(query, key, value)
    better = built(ImprovedClustered(clusters=4, topk=16))(query, key, value)
    assert (better - exact).norm() < 0.8 * (groups - exact).norm()


@pytest.mark.parametrize(("length", "clusters", "size"), [(1, 1, 4), (50, 3, 4), (50, 50, 8)])
def test_no_block_of_slots_holds_two_clusters(length: int, clusters: int, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    group = torch.randint(clusters, (2, 3, length), generator=generator)
    group[0, 0] = clusters - 1
    group[0, 1] = torch.arange(length) % clusters
    slot, owner = slots(group, clusters, size)
    assert slot.min() >= 0
    assert slot.max() < owner.shape[2] * size
    assert torch.equal(owner.gather(-1, slot // size), group)
    for row in slot.flatten(0, 1):
        assert len(row.unique()) == length


def test_no_best_keys_are_refused() -> None:
    with pytest.raises(ValueError, match=r"topk: 0 is not at least 1"):
        ImprovedClustered(topk=0)
    with pytest.raises(ValueError, match="iterations: -2"):
        ImprovedClustered(iterations=-2)
