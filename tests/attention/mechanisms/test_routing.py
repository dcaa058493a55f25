from typing import Any

import pytest
import torch
from attention_cases import built, random_text
from torch.nn import functional as F

from leanformer.attention import Routing
from leanformer.attention.mechanisms.routing import likeness, members


@pytest.mark.parametrize("causal", [False, True])
def test_tokens_of_a_cluster_attend_to_the_nearest_of_it(causal: bool) -> None:
    attention: Any = built(Routing(clusters=3, window=2), causal)
    query, key, value = random_text(21)
    normed = F.layer_norm(key, (8,), eps=0)
    cluster = torch.einsum("bhtd,hcd->bhtc", normed, attention.centroids).argmax(-1)
    expected = torch.zeros_like(query)
    for row in range(2):
        for head in range(4):
            for token in range(21):
                mine = (cluster[row, head] == cluster[row, head, token]).nonzero().flatten()
                at = mine.tolist().index(token)
                seen = mine[max(0, at - 2) : at + (1 if causal else 3)]
                weights = (key[row, head, seen] @ query[row, head, token] * 8**-0.5).softmax(0)
                expected[row, head, token] = weights @ value[row, head, seen]
    torch.testing.assert_close(attention(query, key, value), expected)


def test_balanced_clusters_are_equally_large_and_in_the_order_of_the_text() -> None:
    like = torch.rand(2, 4, 30, 5, generator=torch.Generator().manual_seed(0))
    keep = torch.ones(2, 30, dtype=torch.bool)
    keep[1, 6:] = False
    places, there = members(like, keep, 8)
    assert places.shape == (2, 4, 5, 8)
    assert torch.equal(places, places.sort(-1).values)
    assert there[0].all()
    assert torch.equal(there[1].sum(-1), torch.full((4, 5), 6))
    for cluster in range(5):
        expected = like[0, 2, :, cluster].topk(8).indices.sort().values
        assert torch.equal(places[0, 2, cluster], expected)


def test_a_balanced_token_in_several_clusters_is_their_mean() -> None:
    attention: Any = built(Routing(clusters=3, window=5, balanced=True))
    query, key, value = random_text(11)
    asked = likeness(query, attention.centroids).transpose(2, 3)
    read = likeness(key, attention.centroids).transpose(2, 3)
    expected, times = torch.zeros_like(query), torch.zeros(2, 4, 11, 1)
    for row in range(2):
        for head in range(4):
            for cluster in range(3):
                tokens = asked[row, head, cluster].topk(5).indices
                keys = read[row, head, cluster].topk(5).indices
                scores = query[row, head, tokens] @ key[row, head, keys].T * 8**-0.5
                expected[row, head, tokens] += scores.softmax(-1) @ value[row, head, keys]
                times[row, head, tokens] += 1
    assert (times == 0).any()
    assert (times > 1).any()
    torch.testing.assert_close(attention(query, key, value), expected / times.clamp(min=1))


def test_centroids_follow_their_tokens_in_training_alone() -> None:
    attention: Any = built(Routing(clusters=2, window=9, decay=0.5))
    before = attention.centroids.clone()
    text = random_text(40)
    attention(*text)
    assert torch.equal(attention.centroids, before)
    attention.train()
    near = [likeness(text.key, attention.centroids).amax(-1).mean()]
    for _ in range(6):
        attention(*text)
        near.append(likeness(text.key, attention.centroids).amax(-1).mean())
    assert near[-1] > near[0]
    torch.testing.assert_close(attention.centroids.norm(dim=-1), torch.ones(4, 2).double())


def test_hidden_tokens_move_no_centroid() -> None:
    short, long = (built(Routing(clusters=3, window=4)).train() for _ in range(2))
    text = random_text(20)
    keep = torch.ones(2, 30, dtype=torch.bool)
    keep[:, 20:] = False
    short(*text)
    long(*(F.pad(x, (0, 0, 0, 10), value=3.0) for x in text), keep)
    torch.testing.assert_close(short.centroids, long.centroids)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="clusters: 0 is not at least 1"):
        Routing(clusters=0)
    with pytest.raises(ValueError, match="decay: 1"):
        Routing(decay=1)
