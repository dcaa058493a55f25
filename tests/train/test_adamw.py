from dataclasses import replace

from train.toy import FAST, toy

from leanformer.train.adamw import adamw
from leanformer.train.scheduled_module import set_lr_scale


def test_only_matrices_decay() -> None:
    model, _ = toy()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, free = adamw([model], replace(FAST, weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    chosen = {names[id(parameter)] for parameter in decayed["params"]}
    assert len(chosen) + len(free["params"]) == len(names)
    assert chosen == {
        name
        for name in names.values()
        if name.endswith("weight") and "LayerNorm" not in name and "embeddings" not in name
    }


def test_what_has_a_rate_of_its_own_is_a_group_of_its_own_without_decay() -> None:
    model, _ = toy()
    set_lr_scale(model.classifier.weight, 7.0)
    *others, own = adamw([model], replace(FAST, weight_decay=0.3)).param_groups
    assert {group["factor"] for group in others} == {1.0}
    assert (own["factor"], own["weight_decay"]) == (7.0, 0.0)
    assert [id(parameter) for parameter in own["params"]] == [id(model.classifier.weight)]
