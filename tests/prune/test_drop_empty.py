import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from quantize.test_quantize_aware import workspace_of
from train.toy import FAST

from leanformer.models.anatomy import anatomy_of
from leanformer.models.anatomy.channels import weight_of
from leanformer.models.anatomy.shape import shape_of
from leanformer.models.families import FAMILIES
from leanformer.prune.criteria.weights import Movement
from leanformer.prune.drop_empty import DropEmpty
from leanformer.prune.patterns import Hybrid
from leanformer.prune.sparsify import Sparsify
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Uniform
from leanformer.train.steps.finetune import Finetune


def randomized(tmp_path: Any, family: str) -> Any:
    """A model whose biases are not zero: what an empty channel always says must be kept."""
    workspace = workspace_of(tmp_path, family, "embedding")
    torch.manual_seed(0)
    for name, parameter in workspace.model.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_()
    return workspace


@pytest.mark.parametrize("family", FAMILIES)
def test_empty_heads_and_neurons_go_and_the_model_says_the_same(tmp_path: Any, family: str) -> None:
    workspace = randomized(tmp_path, family)
    anatomy = anatomy_of(workspace.model)
    layer = anatomy.layers(workspace.model)[1]
    width = anatomy.head_dim(layer)
    groups = anatomy.kv_heads(layer)
    per_group = anatomy.heads(layer) // groups
    behind, values = anatomy.head_point(layer), layer.get_submodule(anatomy.projections[-1])
    with torch.no_grad():
        weight_of(behind)[:, : per_group * width] = 0  # the first group writes nothing
        if behind.bias is not None or values.bias is None:
            rows = weight_of(values)
            rows[len(rows) - width :] = 0  # the last one reads nothing
        weight_of(anatomy.ffn_point(layer))[:, :9] = 0
        first = layer.get_submodule(anatomy.ffn_in[0])
        if anatomy.ffn_point(layer).bias is not None or first.bias is None:
            weight_of(first)[10:18] = 0
    before = shape_of(workspace.model)
    done = DropEmpty(multiple=4).apply(workspace)
    after = shape_of(done.model)
    assert after.heads[0] == before.heads[0]
    assert before.heads[1] - after.heads[1] == min(2, groups - 1) * per_group  # one group stays
    assert before.ffn[1] - after.ffn[1] == 16  # 17 are empty, a multiple of 4 goes
    assert all(proof.ok for proof in done.proofs)


def test_a_gate_with_a_bias_is_not_empty(tmp_path: Any) -> None:
    """Its neuron says act(b) times the other half, which depends on the text."""
    workspace = workspace_of(tmp_path, "modernbert", "embedding")
    config = copy.deepcopy(workspace.model.config)
    config.mlp_bias = True
    torch.manual_seed(0)
    model = type(workspace.model)(config).eval()
    layer = model.layers[1]
    width = layer.mlp.Wo.weight.shape[1]
    layer.mlp.Wi.bias.data.normal_()
    layer.mlp.Wi.weight.data[width:] = 0  # every gate
    layer.mlp.Wo.weight.data[:, :8] = 0
    done = DropEmpty().apply(replace(workspace, model=model))
    assert shape_of(done.model).ffn[1] == width - 8
    assert all(proof.ok for proof in done.proofs)


def test_a_layer_that_is_empty_keeps_a_head_and_a_few_neurons(tmp_path: Any) -> None:
    workspace = randomized(tmp_path, "bert")
    layer = workspace.model.encoder.layer[0]
    layer.attention.output.dense.weight.data.zero_()
    layer.intermediate.dense.weight.data.zero_()
    done = DropEmpty().apply(workspace)
    shape = shape_of(done.model)
    assert shape.heads[0] == 1
    assert shape.ffn[0] == 8


def test_block_movement_ends_with_a_smaller_model(tmp_path: Any) -> None:
    workspace = workspace_of(tmp_path)
    before = shape_of(workspace.model)
    by = Finetune(train=FAST, max_length=32)
    step = Sparsify(by=by, sparsity=0.7, criterion=Movement(rate=10), pattern=Hybrid(block_size=8))
    done = DropEmpty().apply(step.apply(workspace))
    after = shape_of(done.model)
    assert sum(after.ffn) < sum(before.ffn)
    assert after.encoder_parameters < before.encoder_parameters


def test_what_has_nothing_empty_or_rounds_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="multiple: 0 is not at least 1"):
        DropEmpty(multiple=0)
    workspace = workspace_of(tmp_path)
    with pytest.raises(ValueError, match="no head and no neuron is empty; put sparsify"):
        DropEmpty().apply(workspace)
    QuantizeAware(weights=Uniform()).apply(workspace)
    with pytest.raises(ValueError, match="round"):
        DropEmpty().apply(workspace)
