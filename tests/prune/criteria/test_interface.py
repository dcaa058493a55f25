import pytest

from leanformer.prune.criteria.interface import UnitCriterion
from leanformer.prune.criteria.units import Activation, Magnitude, Taylor


def test_only_taylor_needs_labels() -> None:
    assert [c.needs_labels for c in (Activation, Magnitude, Taylor)] == [False, False, True]


def test_a_criterion_must_score() -> None:
    with pytest.raises(TypeError, match="abstract"):
        UnitCriterion()  # type: ignore[abstract]
