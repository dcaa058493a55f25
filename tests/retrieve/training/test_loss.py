import pytest
import torch
from retrieve.training.pairs import encoder, related

from leanformer.retrieve.objectives import CosineScore, InBatchNegatives, Matryoshka, Triplet
from leanformer.retrieve.training.loss import VectorLoss
from leanformer.retrieve.training.tuple_batches import TupleBatches
from leanformer.retrieve.training.tuples import encode_tuples
from leanformer.train import TrainSetup
from leanformer.train.execution import make_execution


@pytest.mark.parametrize("objective", [CosineScore(), Triplet()])
def test_parts_of_a_batch_add_up_to_it(objective: CosineScore) -> None:
    """The one loop passes a batch of an additive objective through the model in microbatches."""
    found = []
    for max_tokens in (10_000, 60):
        model, tokenizer = encoder(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        tuples = encode_tuples(related(1), [row / 24 for row in range(24)], tokenizer, 32)
        batches = TupleBatches(tuples, batch_size=24, max_tokens=max_tokens, seed=0)
        loss = VectorLoss(objective, model, max_tokens=max_tokens)
        execution = make_execution(model, loss, TrainSetup(precision="fp32"))
        value, _ = execution.forward_backward(batches.at(0), {})
        found.append((value, model.embeddings.word_embeddings.weight.grad, len(batches.at(0))))
    (whole, slope, one), (sum_, parts, several) = found
    assert one == 1 < several
    assert sum_ == pytest.approx(whole, rel=1e-5)
    torch.testing.assert_close(parts, slope, atol=1e-6, rtol=1e-4)


def test_it_says_what_it_is() -> None:
    model, _ = encoder()
    loss = VectorLoss(Matryoshka(widths=(8,)), model, max_tokens=100)
    assert not loss.additive
    assert loss.identity()["objective"]["objective"] == {
        "use": "in-batch-negatives",
        "scale": 20.0,
        "symmetric": False,
    }
    assert VectorLoss(CosineScore(), model, max_tokens=100).additive
    with pytest.raises(AssertionError):
        VectorLoss(InBatchNegatives(), model, max_tokens=100).classifier  # noqa: B018
