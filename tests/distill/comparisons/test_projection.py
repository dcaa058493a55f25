import pytest
import torch
from distill.objectives.naive import STUDENT, TEACHER
from torch import nn

from leanformer.distill.comparisons.projection import projection
from leanformer.distill.objectives import Embeddings, FeatureMaps, HiddenStates, LastHidden


def test_it_goes_from_the_students_width_to_the_teachers_and_equal_widths_need_none():
    wide = projection(STUDENT, TEACHER)
    assert wide(torch.zeros(2, 7, STUDENT.hidden)).shape == (2, 7, TEACHER.hidden)
    assert isinstance(projection(STUDENT, STUDENT), nn.Identity)


@pytest.mark.parametrize("kind", [Embeddings, HiddenStates])
def test_what_learns_a_projection_has_one_only_where_widths_differ(kind):
    assert not list(kind().build(STUDENT, STUDENT).parameters())
    assert isinstance(kind().build(STUDENT, TEACHER).project, nn.Linear)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (FeatureMaps, "feature-maps: hidden states of width 3 and 5 have no common map; use hid"),
        (LastHidden, "last-hidden: hidden states of width 3 and 5 have no common direction; use"),
    ],
)
def test_what_learns_none_refuses_unequal_widths(kind, message):
    with pytest.raises(ValueError, match=message):
        kind().build(STUDENT, TEACHER)
