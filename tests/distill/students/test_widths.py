import pytest
import torch
from distill.students.given import teacher
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.students.widths import (
    Widths,
    along,
    directions,
    even,
    head_channels,
    narrowed,
)

BIG = Widths(32, 4, 48)


@given(total=st.integers(1, 200), data=st.data())
def test_even_indices_ascend_within_the_teacher(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, total))
    indices = even(count, total).tolist()
    assert indices == sorted(set(indices))
    assert indices[0] == 0
    assert indices[-1] < total


def test_whole_heads_stay_together() -> None:
    channels = head_channels(Widths(8, 2, 1), BIG)  # 2 heads of 4 from 4 heads of 8
    assert channels.tolist() == [0, 2, 4, 6, 16, 18, 20, 22]
    assert head_channels(BIG, BIG).tolist() == list(range(32))


def test_heads_wider_than_the_teachers_take_channels_of_several() -> None:
    assert head_channels(Widths(16, 1, 1), BIG).tolist() == list(range(0, 32, 2))


def test_directions_are_the_singular_vectors_of_the_words() -> None:
    words = torch.randn(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = directions(words, 3)
    torch.testing.assert_close(found.T @ found, torch.eye(3, dtype=torch.float64))
    _, _, right = torch.linalg.svd(words, full_matrices=False)
    torch.testing.assert_close((right[:3] @ found).abs(), torch.eye(3, dtype=torch.float64))
    assert (found.gather(0, found.abs().argmax(0, keepdim=True)) > 0).all()


def test_no_other_directions_keep_more_of_the_words() -> None:
    generator = torch.Generator().manual_seed(0)
    words = torch.randn(50, 7, dtype=torch.float64, generator=generator)
    other, _ = torch.linalg.qr(torch.randn(7, 3, dtype=torch.float64, generator=generator))
    best = directions(words, 3)
    assert (words @ best).norm() > (words @ other).norm()


def test_an_axis_is_picked_or_projected() -> None:
    matrix = torch.arange(12.0).reshape(3, 4)
    assert torch.equal(along(matrix, torch.tensor([0, 2]), 0), matrix[[0, 2]])
    projection = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(along(matrix, projection, 1), matrix @ projection)
    torch.testing.assert_close(along(matrix.T, projection, 0), projection.T @ matrix.T)


@pytest.mark.parametrize("head", ["embedding", "masked", "classification", "tokens"])
@pytest.mark.parametrize("project", [False, True])
def test_the_same_widths_are_a_copy(head: str, project: bool) -> None:
    state = teacher(head).state_dict()
    found = narrowed(state, BIG, BIG, project=project, pooled=head == "classification")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_slices_by_the_naive_indices() -> None:
    state = teacher().state_dict()
    small = Widths(16, 2, 12)
    found = narrowed(state, small, BIG, project=False, pooled=True)
    d, f = range(0, 32, 2), range(0, 48, 4)
    a = [*range(8), *range(16, 24)]
    layer = "bert.encoder.layer.1."
    rows_and_columns = {
        "bert.embeddings.word_embeddings.weight": (range(158), d),
        "bert.embeddings.token_type_embeddings.weight": (range(2), d),
        f"{layer}attention.self.value.weight": (a, d),
        f"{layer}attention.output.dense.weight": (d, a),
        f"{layer}intermediate.dense.weight": (f, d),
        f"{layer}output.dense.weight": (d, f),
        "bert.pooler.dense.weight": (d, d),
        "classifier.weight": (range(3), d),
    }
    for key, (rows, columns) in rows_and_columns.items():
        expected = state[key][list(rows)][:, list(columns)]
        assert torch.equal(found[key], expected), key
    for key, rows in {
        f"{layer}attention.self.query.bias": a,
        f"{layer}intermediate.dense.bias": f,
        f"{layer}output.LayerNorm.weight": d,
        "classifier.bias": range(3),
    }.items():
        assert torch.equal(found[key], state[key][list(rows)]), key


def test_projection_by_the_equation() -> None:
    state = teacher("masked").double().state_dict()
    small = Widths(16, 2, 12)
    found = narrowed(state, small, BIG, project=True, pooled=False)
    words = state["bert.embeddings.word_embeddings.weight"]
    p = directions(words, 16)
    a, f = [*range(8), *range(16, 24)], list(range(0, 48, 4))
    layer = "bert.encoder.layer.2."
    scale = state[f"{layer}output.LayerNorm.weight"]
    dense = "cls.predictions.transform.dense."
    expected = {
        "bert.embeddings.word_embeddings.weight": words @ p,
        "cls.predictions.decoder.weight": words @ p,
        f"{layer}attention.self.key.weight": state[f"{layer}attention.self.key.weight"][a] @ p,
        f"{layer}output.dense.weight": p.T @ state[f"{layer}output.dense.weight"][:, f],
        f"{layer}output.dense.bias": p.T @ state[f"{layer}output.dense.bias"],
        f"{layer}output.LayerNorm.weight": (p.T @ torch.diag(scale) @ p).diagonal(),
        f"{dense}weight": p.T @ state[f"{dense}weight"] @ p,
        "cls.predictions.bias": state["cls.predictions.bias"],
    }
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value)


def test_what_lies_in_the_directions_is_scored_as_by_the_teacher() -> None:
    state = teacher().double().state_dict()
    found = narrowed(state, Widths(16, 2, 48), BIG, project=True, pooled=True)
    p = directions(state["bert.embeddings.word_embeddings.weight"], 16)
    key = "bert.encoder.layer.0.attention.self.query.weight"
    x = torch.randn(16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found[key][:8] @ x, (state[key] @ (p @ x))[:8])
