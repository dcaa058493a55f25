from typing import Any

import torch
from torch import Tensor, nn

from leanformer.calibrate.statistics import gather
from leanformer.data import Batch, Examples, encode_examples
from leanformer.models.anatomy import anatomy_of
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.prune.criteria.units import Taylor


def last_point(model: Any) -> Any:
    anatomy = anatomy_of(model)
    return anatomy.ffn_point(anatomy.layers(model)[-1])


def without(model: Any, loss: Any, batch: Batch, unit: int) -> Tensor:
    """The loss with one neuron of the last layer at zero."""

    def zero(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        cut = inputs[0].clone()
        cut[..., unit] = 0
        return (cut,)

    handle = last_point(model).register_forward_pre_hook(zero)
    with torch.no_grad():
        value: Tensor = loss(model, batch)
    handle.remove()
    return value


def test_where_the_loss_is_linear_in_a_unit_the_score_is_the_exact_change() -> None:
    model, tokenizer = tiny_model("bert", head="embedding")
    model = model.double()
    encoded = encode_examples(Examples(texts=list(TEXTS[:4])), tokenizer, "embedding", 32)
    direction = torch.randn(32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    written: list[Tensor] = []
    last_point(model).register_forward_hook(lambda module, inputs, output: written.append(output))

    def linear(model: Any, batch: Batch) -> Tensor:
        """What the last FFN writes along a direction: linear in each neuron."""
        written.clear()
        model(**batch.inputs)
        keep = batch.inputs["attention_mask"].unsqueeze(-1)
        return (written[0] * keep @ direction).sum()

    batches = [encoded.batch([index]) for index in range(4)]  # one each: the score adds examples
    _, neurons = gather(model, batches, linear)
    found = Taylor().score(neurons[-1])
    for unit in range(0, 48, 7):
        exact = sum(
            (linear(model, batch) - without(model, linear, batch, unit)).abs() for batch in batches
        )
        torch.testing.assert_close(found[unit].double(), exact.detach(), rtol=1e-4, atol=1e-6)  # type: ignore[union-attr]


def test_it_orders_neurons_as_removing_them_one_by_one_does() -> None:
    model, tokenizer = tiny_model("bert")
    examples = Examples(texts=list(TEXTS[:4]), labels=[0, 1, 2, 0])
    encoded = encode_examples(examples, tokenizer, "classification", 32)
    batches = [encoded.batch([index]) for index in range(4)]

    def loss(model: Any, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(model(**batch.inputs).logits, batch.labels)

    _, neurons = gather(model, batches, loss)
    score = Taylor().score(neurons[-1])
    change = torch.stack(
        [
            sum((loss(model, b) - without(model, loss, b, unit)).abs() for b in batches)
            for unit in range(48)
        ]  # type: ignore[misc]
    ).detach()
    assert torch.corrcoef(torch.stack([score, change]))[0, 1] > 0.9
