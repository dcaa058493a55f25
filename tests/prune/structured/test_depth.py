from itertools import combinations, pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from train.toy import toy

from leanformer.models.tiny import tiny_model
from leanformer.prune.structured.depth import measured_layers, spaced_layers


@given(st.integers(1, 24), st.integers(1, 24))
def test_spaced_layers_are_distinct_and_begin_with_the_first(count: int, total: int) -> None:
    count = min(count, total)
    found = spaced_layers(count, total)
    assert found[0] == 0
    assert len(set(found)) == count
    assert max(found) < total
    gaps = {after - before for before, after in pairwise(found)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_half_of_the_depth_is_one_of_two() -> None:
    assert spaced_layers(3, 6) == [0, 2, 4]
    assert spaced_layers(6, 12) == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("kind", ["classification", "tokens"])
@pytest.mark.parametrize("silent", [0, 1, 3])
def test_a_layer_that_does_nothing_goes_first(kind: Any, silent: int) -> None:
    head = "tokens" if kind == "tokens" else "classification"
    model, _ = tiny_model(
        "modernbert", head=head
    )  # residuals before the norm: zeros change nothing
    _, encoded = toy(kind)
    layer = model.model.layers[silent]
    layer.attn.Wo.weight.data.zero_()
    layer.mlp.Wo.weight.data.zero_()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    kept = measured_layers(model, [encoded.batch([0, 5, 15])], kind, 3, 4)
    assert kept == [index for index in range(4) if index != silent]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_nearest_of_all_single_removals_is_chosen() -> None:
    model, encoded = toy()
    batches = [encoded.batch([0, 3, 12]), encoded.batch([7])]

    def answers(layers: Any) -> torch.Tensor:
        copy = tiny_model("bert", num_labels=2)[0]
        copy.bert.encoder.layer = torch.nn.ModuleList(copy.bert.encoder.layer[n] for n in layers)
        copy.config.num_hidden_layers = len(layers)
        with torch.no_grad():
            return torch.cat([copy(**batch.inputs).logits for batch in batches])

    whole = answers(range(3))
    errors = {
        layers: (answers(layers) - whole).pow(2).mean() for layers in combinations(range(3), 2)
    }
    best = min(errors, key=lambda layers: float(errors[layers]))
    assert measured_layers(model, batches, "classification", 2, 3) == list(best)
    assert measured_layers(model, batches, "classification", 3, 3) == [0, 1, 2]
