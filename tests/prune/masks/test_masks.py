import pytest
import torch
from torch import nn

from leanformer.prune.criteria.weights import Movement, RandomWeights, SoftMovement, WeightMagnitude
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.masks.masks import Masks
from leanformer.prune.patterns import Unstructured
from leanformer.prune.schedules import Cubic, OneShot


def masks(criterion, schedule=None, sparsity=0.75, **settings):
    torch.manual_seed(0)
    pattern = Unstructured()
    layers = {name: MaskedLinear(nn.Linear(10, 10), pattern, criterion) for name in ("a", "b")}
    return Masks(layers, criterion, pattern, schedule or OneShot(), sparsity, **settings)


def kept(found):
    return [int(layer.kept.sum()) for layer in found.layers.values()]


def test_masks_close_with_the_schedule_and_never_open_again():
    found = masks(WeightMagnitude(), Cubic(hold=0.1, cool=0.2), every=1)
    before = None
    for step in range(21):
        found.update(step, 20)
        share = 1 - Cubic(hold=0.1, cool=0.2).progress(step / 20) * 0.75
        assert kept(found) == [round(100 * share)] * 2
        now = torch.stack([layer.kept.clone() for layer in found.layers.values()])
        if before is not None:
            assert not (now & ~before).any()
        before = now
        for layer in found.layers.values():
            assert (layer.weight[~layer.kept] == 0).all()
            layer.weight.data += torch.randn(10, 10)  # as momentum would
    assert kept(found) == [25, 25]


def test_masks_are_chosen_every_few_steps_and_at_the_end():
    found = masks(RandomWeights(), Cubic(hold=0.0, cool=0.0), every=8)
    counts = []
    for step in range(1, 11):
        found.update(step, 10)
        counts.append(kept(found)[0])
    assert counts[:7] == [100] * 7
    assert counts[7] == counts[8] > counts[9] == 25


def test_a_removed_weight_comes_back_when_its_score_grows():
    found = masks(Movement(), Cubic(hold=0.0, cool=0.5), every=1)
    layer = found.layers["a"]
    layer.scores.data.normal_()
    weight = layer.weight.detach().clone()
    found.update(4, 10)
    gone = tuple((~layer.kept).nonzero()[0])
    assert torch.equal(layer.weight, weight)
    layer.scores.data[gone] = 100
    found.update(5, 10)
    assert layer.kept[gone]
    assert kept(found) == [25, 25]


def test_nothing_changes_once_all_is_gone_that_shall():
    found = masks(Movement(), Cubic(hold=0.0, cool=0.5), every=1)
    layer = found.layers["a"]
    found.update(5, 10)
    settled = layer.kept.clone()
    layer.scores.data.normal_()
    for step in range(6, 11):
        found.update(step, 10)
    assert torch.equal(layer.kept, settled)


def test_all_layers_together_keep_the_share():
    found = masks(WeightMagnitude(), scope="global")
    found.layers["a"].weight.data *= 100
    found.update(0, 10)
    assert kept(found) == [49, 1]


def test_a_criterion_that_sets_the_sparsity_is_left_to_set_it():
    found = masks(SoftMovement(threshold=0.9, penalty_weight=2.0), Cubic(hold=0.0, cool=0.0))
    found.update(10, 10)
    assert kept(found) == [100, 100]
    assert all(layer.mask().count_nonzero() == 1 for layer in found.layers.values())
    assert found.penalty().item() == pytest.approx(2 * 0.5)
    assert masks(Movement()).penalty() is None
    assert masks(WeightMagnitude()).penalty() is None


def test_layers_are_not_saved_twice():
    assert not masks(Movement()).state_dict()
