import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.comparisons.layer_map import (
    LayerMap,
    last,
    last_of_block,
    layer_map,
    layer_pairs,
    level_map,
    skip,
    uniform,
    uniform_levels,
)

DEPTH = st.integers(1, 24)


@given(student=DEPTH, teacher=DEPTH)
def test_levels_go_from_the_embeddings_to_the_last_layer(student: int, teacher: int) -> None:
    levels = uniform_levels(student, teacher)
    assert len(levels) == student + 1
    assert (levels[0], levels[-1]) == (0, teacher)
    assert levels == sorted(levels)
    if student <= teacher:
        assert len(set(levels)) == len(levels)
    if teacher % student == 0:
        assert levels == [n * teacher // student for n in range(student + 1)]


@given(student=DEPTH, teacher=DEPTH)
def test_uniform_layers_are_those_that_end_at_uniform_levels(student: int, teacher: int) -> None:
    layers = uniform(student, teacher)
    assert len(layers) == student
    assert layers[-1] == teacher - 1
    assert layers == sorted(layers)
    assert all(0 <= layer < teacher for layer in layers)
    if student <= teacher:
        assert [layer + 1 for layer in layers] == uniform_levels(student, teacher)[1:]


@given(student=DEPTH, blocks=st.integers(1, 6))
def test_where_the_depths_divide_three_maps_are_one(student: int, blocks: int) -> None:
    teacher = student * blocks
    expected = [index * blocks + blocks - 1 for index in range(student)]
    for named in (uniform, last_of_block, skip):
        assert named(student, teacher) == expected


@pytest.mark.parametrize(
    ("name", "student", "teacher", "layers"),
    [
        ("uniform", 6, 12, [1, 3, 5, 7, 9, 11]),
        ("uniform", 4, 6, [1, 2, 3, 5]),
        ("uniform", 3, 1, [0, 0, 0]),
        ("last-of-block", 4, 12, [2, 5, 8, 11]),
        ("skip", 5, 12, [1, 3, 5, 7, 9]),
        ("last", 5, 12, [7, 8, 9, 10, 11]),
        ((3, 3, 0), 3, 4, [3, 3, 0]),
    ],
)
def test_maps_are_found_by_name_or_taken_as_given(
    name: LayerMap | tuple[int, ...], student: int, teacher: int, layers: list[int]
) -> None:
    assert layer_map(name, student, teacher) == layers


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "last-of-block",
            "last-of-block cannot cut 4 teacher layers into 5 equal blocks; use 'uni",
        ),
        ("skip", "skip cannot serve 5 student layers with 4 of the teacher; use 'uniform'"),
        ("last", "last cannot serve 5 student layers with 4 of the teacher; use 'uniform'"),
        ("first", "'first' is not one of uniform, last-of-block, skip, last"),
        ((0, 1), r"\[0, 1\] must name 5 teacher layers from 0 to 3"),
        ((0, 1, 2, 3, 4), r"\[0, 1, 2, 3, 4\] must name 5 teacher layers from 0 to 3"),
        ((-1, 0, 1, 2, 3), r"\[-1, 0, 1, 2, 3\] must name 5"),
    ],
)
def test_maps_that_do_not_fit_are_refused(name: LayerMap | tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"teacher_layers: {message}"):
        layer_map(name, 5, 4)


def test_a_block_must_be_whole() -> None:
    with pytest.raises(ValueError, match="cannot cut 12 teacher layers into 5 equal blocks"):
        last_of_block(5, 12)


def test_levels_are_taken_as_given_or_evenly_spread() -> None:
    assert level_map(None, 2, 4) == [0, 2, 4]
    assert level_map((1, 1, 3), 2, 4) == [1, 1, 3]
    for wrong in ((), (0, 2), (0, 2, 5), (-1, 2, 4)):
        with pytest.raises(ValueError, match=r"levels: .* must name 3 teacher levels from 0 to 4"):
            level_map(wrong, 2, 4)


def test_pairs_are_of_the_layers_that_are_asked_for() -> None:
    assert layer_pairs(None, "uniform", 3, 6) == [(0, 1), (1, 3), (2, 5)]
    assert layer_pairs((1,), "last", 3, 6) == [(1, 4)]
    assert last(3, 6) == [3, 4, 5]
    for wrong in ((), (3,), (-1,), (1, 1)):
        with pytest.raises(
            ValueError, match=r"layers: .* one or more of the student's layers 0 to"
        ):
            layer_pairs(wrong, "uniform", 3, 6)
