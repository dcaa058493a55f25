from dataclasses import fields

import pytest
from distill.objectives.naive import STUDENT, TEACHER

from leanformer.distill.objective import Dims
from leanformer.distill.objectives import AttentionMaps, FeatureMaps

DEEP = Dims(TEACHER.layers, STUDENT.hidden, TEACHER.heads)
BOTH = pytest.mark.parametrize("kind", [AttentionMaps, FeatureMaps])


@BOTH
def test_all_layers_are_compared_or_those_that_are_named(kind):
    assert kind().pairs(STUDENT, DEEP) == [(0, 1), (1, 3)]
    assert kind(layers=(1,)).build(STUDENT, DEEP).pairs == [(1, 3)]
    assert kind(teacher_layers=(0, 2)).build(STUDENT, DEEP).pairs == [(0, 0), (1, 2)]


@BOTH
def test_what_is_shared_comes_first_in_the_list_of_settings(kind):
    names = [field.name for field in fields(kind)]
    assert names[:3] == ["weight", "layers", "teacher_layers"]


@BOTH
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ()}, r"layers: \[\] must name one or more of the student's layers 0 to 1"),
        ({"layers": (2,)}, r"layers: \[2\] must name one or more of the student's"),
        ({"teacher_layers": (0,)}, r"teacher_layers: \[0\] must name 2 teacher layers from 0 to 3"),
    ],
)
def test_layers_that_are_impossible_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings).build(STUDENT, DEEP)
