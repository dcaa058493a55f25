import pytest
import torch
from attention_cases import places

from leanformer.attention import Heads
from leanformer.attention.kernels.synthetic_scores import DenseScores, RandomScores, Scores, tiled

HEADS = Heads(num_heads=3, num_kv_heads=3, head_dim=4)
MADE = {
    "dense": lambda: DenseScores(HEADS, 20),
    "factorized-dense": lambda: DenseScores(HEADS, 4, 5),
    "random": lambda: RandomScores(HEADS, 20, None, None),
    "factorized-random": lambda: RandomScores(HEADS, 20, 2, None),
}


@pytest.mark.parametrize("name", MADE)
def test_features_and_blocks_make_the_same_scores(name: str) -> None:
    scores: Scores = MADE[name]()
    query = torch.randn(2, 3, 11, 4)
    whole = scores(query, places(11), 11).expand(2, -1, -1, -1)
    assert whole.shape == (2, 3, 11, 11)
    features, blocks = scores.features(query), scores.blocks(4)
    if features is not None:
        found = features[0] @ features[1].transpose(-1, -2)
        torch.testing.assert_close(found.expand_as(whole), whole, rtol=1e-4, atol=1e-5)
    if blocks is not None:
        found = torch.cat(blocks, 2)[:, :, :11, :11]
        torch.testing.assert_close(found.expand_as(whole), whole, rtol=1e-4, atol=1e-5)


def test_tiles_are_products_of_all_pairs() -> None:
    found = tiled(torch.tensor([[[[2.0, 3.0]]]]), torch.tensor([[[[1.0, 10.0, 100.0]]]]))
    assert found.flatten().tolist() == [2, 20, 200, 3, 30, 300]
