import copy
from typing import Any
from unittest import mock

import pytest
import torch
from retrieve.training.pairs import encoder, related
from torch import Tensor

from leanformer.models.embedding import text_vectors
from leanformer.retrieve.objectives import Cosent, InBatchNegatives, VectorObjective
from leanformer.retrieve.training.cached import pooled_vectors
from leanformer.retrieve.training.loss import VectorLoss
from leanformer.retrieve.training.tuple_batches import TupleBatch, TupleBatches
from leanformer.retrieve.training.tuples import encode_tuples

_LARGE = 10**6


def batch(tokenizer: Any, targets: Any = None) -> TupleBatch:
    tuples = encode_tuples(related(1), targets, tokenizer, 32)
    made = TupleBatches(tuples, batch_size=24, max_tokens=1, seed=0, whole=True, exclude=True)
    return made.batch(range(24))


def gradients(
    model: Any, objective: VectorObjective, given: TupleBatch, max_tokens: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss and its gradients in float64; chance begins alike."""
    model = copy.deepcopy(model)
    torch.manual_seed(3)
    loss = VectorLoss(objective, model, max_tokens=max_tokens)
    found = loss.mean(model, given)
    found.backward()
    return found, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", ["bert", "modernbert"])
@pytest.mark.parametrize("objective", [InBatchNegatives(symmetric=True), Cosent()])
def test_cached_gradients_are_those_of_the_whole_batch(
    family: str, objective: VectorObjective
) -> None:
    model, tokenizer = encoder(family)
    model = model.double().eval()
    given = batch(tokenizer, [row / 24 for row in range(24)])
    loss, whole = gradients(model, objective, given, _LARGE)
    for max_tokens in (1, 50):
        other, parts = gradients(model, objective, given, max_tokens)
        torch.testing.assert_close(other, loss, rtol=1e-10, atol=1e-10)
        assert parts.keys() == whole.keys()
        for name in whole:
            torch.testing.assert_close(parts[name], whole[name], rtol=1e-10, atol=1e-10)


def test_with_dropout_they_are_those_of_the_same_parts_kept_in_memory() -> None:
    """Both passes of a part draw the same dropout: the oracle encodes each part once."""
    model, tokenizer = encoder()
    model = model.double().train()
    given = batch(tokenizer)
    loss, cached = gradients(model, InBatchNegatives(), given, 50)
    kept = copy.deepcopy(model)
    torch.manual_seed(3)
    made = VectorLoss(InBatchNegatives(), kept, max_tokens=50)
    with mock.patch(
        "leanformer.retrieve.training.cached.checkpoint", lambda of, *given, **_: of(*given)
    ):
        expected = made.mean(kept, given)
        expected.backward()
    assert torch.equal(loss, expected)
    for name, parameter in kept.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(cached[name], parameter.grad, rtol=1e-10, atol=1e-10)
    torch.manual_seed(3)
    assert made.mean(kept.eval(), given) != expected  # dropout was at work


def test_chance_goes_on_as_if_nothing_had_been_encoded_again() -> None:
    model, tokenizer = encoder()
    drawn = []
    for max_tokens in (50, 50):
        gradients(model.train(), InBatchNegatives(), batch(tokenizer), max_tokens)
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn)


def kept_bytes(model: Any, given: TupleBatch, max_tokens: int) -> int:
    """Bytes of different tensors that the forward pass keeps for the backward pass."""
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        vectors = pooled_vectors(model, given.inputs, max_tokens)
    assert vectors.requires_grad
    return sum(found.values())


def test_activations_are_not_kept() -> None:
    model, tokenizer = encoder()
    given = batch(tokenizer)
    weights = sum(p.nbytes for p in model.parameters())
    assert kept_bytes(model.train(), given, _LARGE) > 3 * kept_bytes(model, given, 50)
    assert kept_bytes(model, given, 50) < weights


@pytest.mark.parametrize("max_tokens", [_LARGE, 40])
def test_a_vector_does_not_depend_on_its_batch_mates(max_tokens: int) -> None:
    model, tokenizer = encoder()
    given = batch(tokenizer)
    with torch.no_grad():
        found = pooled_vectors(model, given.inputs, max_tokens)
        for row, length in enumerate(given.inputs["attention_mask"].sum(1).tolist()):
            inputs = {n: x[row : row + 1, :length] for n, x in given.inputs.items()}
            hidden = model(**inputs).last_hidden_state
            alone = text_vectors(model, hidden, inputs["attention_mask"])
            unit = torch.nn.functional.normalize(found[row : row + 1], dim=-1)
            torch.testing.assert_close(unit, alone, atol=1e-5, rtol=0)
