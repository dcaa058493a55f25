import pytest
import torch

from leanformer.models.anatomy import anatomy_of
from leanformer.models.anatomy.channels import weight_of
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model
from leanformer.prune.shares import kept_by_head


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_an_emptied_head_has_nothing_left_and_the_others_have_all(family):
    model, _ = tiny_model(family)
    anatomy = anatomy_of(model)
    layer = anatomy.layers(model)[1]
    width, count, groups = anatomy.head_dim(layer), anatomy.heads(layer), anatomy.kv_heads(layer)
    point = weight_of(anatomy.head_point(layer))
    for parameter in model.parameters():
        parameter.fill_(1.0)
    point[:, :width] = 0
    before = kept_by_head(model)
    assert before[0] == [1.0] * count
    assert before[1] == [0.75] + [1.0] * (count - 1)
    modules = [layer.get_submodule(path) for path in anatomy.projections]
    for module in modules:
        parts = weight_of(module).chunk(3) if len(modules) == 1 else [weight_of(module)]
        for part in parts:
            part[:width] = 0
    shared = count // groups
    assert kept_by_head(model)[1] == [0.0] + [0.5] * (shared - 1) + [1.0] * (count - shared)
