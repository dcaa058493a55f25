import pytest

from leanformer.core.codec import decode
from leanformer.prune.criteria.interface import WeightCriterion
from leanformer.prune.criteria.learned_mask import LearnedMask
from leanformer.prune.criteria.weights import HardConcrete, Movement, SoftMovement, WeightMagnitude


def test_a_learned_mask_must_gate() -> None:
    with pytest.raises(TypeError, match="abstract"):
        LearnedMask()  # type: ignore[abstract]


def test_a_recipe_chooses_it_like_a_weight_criterion() -> None:
    found = decode(WeightCriterion | LearnedMask, {"use": "movement", "rate": 5.0})
    assert found == Movement(rate=5.0)
    assert decode(WeightCriterion | LearnedMask, "weight-magnitude") == WeightMagnitude()
    with pytest.raises(ValueError, match="use: 'taylor' is no weight-criterion technique"):
        decode(WeightCriterion | LearnedMask, "taylor")


@pytest.mark.parametrize("mask", [Movement(), SoftMovement(), HardConcrete()], ids=repr)
def test_removed_units_may_return_and_no_gradient_statistics_are_needed(mask: LearnedMask) -> None:
    assert mask.can_regrow
    assert not mask.needs
    assert not isinstance(mask, WeightCriterion)
