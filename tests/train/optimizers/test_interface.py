import pytest
from train.toy import toy

from leanformer.train.optimizers import AdamW
from leanformer.train.optimizers.interface import Group, Optimizer, grouped
from leanformer.train.scheduled_module import set_lr_scale


def test_only_matrices_decay() -> None:
    model, _ = toy()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, free = grouped([model])
    assert (decayed.decays, free.decays) == (True, False)
    chosen = {names[id(parameter)] for _, parameter in decayed.parameters}
    assert len(chosen) + len(free.parameters) == len(names)
    assert chosen == {
        name
        for name in names.values()
        if name.endswith("weight") and "LayerNorm" not in name and "embeddings" not in name
    }


def test_what_has_a_rate_of_its_own_is_a_group_of_its_own_without_decay() -> None:
    model, _ = toy()
    set_lr_scale(model.classifier.weight, 7.0)
    *others, own = grouped([model])
    assert {group.rate for group in others} == {1.0}
    assert (own.rate, own.decays) == (7.0, False)
    assert [id(parameter) for _, parameter in own.parameters] == [id(model.classifier.weight)]


def test_what_has_no_gradient_is_in_no_group() -> None:
    model, _ = toy()
    model.bert.requires_grad_(False)
    assert [len(group.parameters) for group in grouped([model])] == [1, 1]


def test_settings_are_those_of_each_group() -> None:
    groups = [Group([], decays=True), Group([], decays=False), Group([], decays=False, rate=3.0)]
    settings = AdamW(learning_rate=0.5, weight_decay=0.1).settings(groups)
    assert [(one["lr"], one["weight_decay"]) for one in settings] == [
        (0.5, 0.1), (0.5, 0.0), (1.5, 0.0),
    ]  # fmt: skip


def test_the_interface_builds_nothing() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Optimizer()  # type: ignore[abstract]
