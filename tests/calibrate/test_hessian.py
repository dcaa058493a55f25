import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from leanformer.calibrate.hessian import Curvature, curvatures, top_eigenvalue
from leanformer.data import Batch, Examples, encode_examples
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.train.loss import Supervised

BLOCKS = {"first": ("first.weight", "first.bias"), "last": ("last.weight",)}


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(3, 5).double(), nn.Linear(5, 3).double()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.last(self.dropout(torch.tanh(self.first(x))))


def batch(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(count, 3, generator=generator).double()
    labels = torch.randint(0, 3, (count,), generator=generator)
    return Batch({"x": x}, labels, tuple(range(count)))


def cross_entropy(model, given):
    return F.cross_entropy(model(**given.inputs), given.labels)


def dense(model, names, given, loss=cross_entropy):
    """The Hessian of one block, entry by entry."""
    parameters = {name: model.get_parameter(name).detach() for name in names}
    sizes = [value.numel() for value in parameters.values()]
    shapes = [value.shape for value in parameters.values()]

    def value(flat):
        parts = [p.reshape(s) for p, s in zip(flat.split(sizes), shapes, strict=True)]
        swapped = dict(zip(names, parts, strict=True))

        def run(**inputs):
            return torch.func.functional_call(model, swapped, (), inputs)

        return loss(run, given)

    flat = torch.cat([value.reshape(-1) for value in parameters.values()])
    return torch.func.hessian(value)(flat)


def top(matrix):
    values = torch.linalg.eigvalsh(matrix)
    return float(values[values.abs().argmax()].detach())


def test_it_is_the_top_of_the_dense_hessian():
    model, slices = Toy().eval(), [[batch(7, 1)], [batch(9, 2)]]
    found = curvatures(model, BLOCKS, slices, cross_entropy, iterations=3000, tolerance=1e-8)
    for name, members in BLOCKS.items():
        expected = [top(dense(model, members, part[0])) for part in slices]
        assert found[name].eigenvalues == pytest.approx(expected, abs=1e-6)
        assert max(found[name].residuals) <= 1e-8


def test_negative_curvature_keeps_its_sign():
    model = Toy().eval()

    def negated(model, given):
        return -cross_entropy(model, given)

    given = batch(7)
    (found,) = curvatures(
        model, {"last": BLOCKS["last"]}, [[given]], negated, iterations=3000, tolerance=1e-8
    ).values()
    expected = top(dense(model, BLOCKS["last"], given, negated))
    assert expected < 0
    assert found.eigenvalues == pytest.approx((expected,), abs=1e-6)
    assert found.sensitivity == pytest.approx(-expected)


def test_batches_of_unlike_size_are_the_whole_slice():
    whole = batch(10)
    parts = [
        Batch({"x": whole.inputs["x"][rows]}, whole.labels[rows], tuple(range(10))[rows])
        for rows in (slice(0, 3), slice(3, 10))
    ]
    found = [
        curvatures(Toy(), BLOCKS, [part], cross_entropy, iterations=9) for part in ([whole], parts)
    ]
    for name in BLOCKS:
        assert found[0][name].eigenvalues == pytest.approx(found[1][name].eigenvalues)


@settings(max_examples=20)
@given(st.integers(0, 200))
def test_the_residual_bounds_the_error_of_any_symmetric_matrix(seed):
    matrix = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed)).double()
    matrix = matrix + matrix.T
    value, residual = top_eigenvalue(lambda v: [matrix @ v[0]], [torch.ones(6).double()], 30, 1e-9)
    values = torch.linalg.eigvalsh(matrix)
    assert float((values - value).abs().min()) <= residual * abs(value) + 1e-9


def test_a_block_without_curvature_has_none():
    def linear(model, given):
        return model(**given.inputs).sum()

    (found,) = curvatures(Toy(), {"last": BLOCKS["last"]}, [[batch(4)]], linear).values()
    assert found == Curvature((0.0,), (0.0,))
    unused = curvatures(Toy(), {"last": ("last.bias",)}, [[batch(4)]],
                        lambda model, given: model.first(given.inputs["x"]).square().mean())  # fmt: skip
    assert unused["last"].eigenvalues == (0.0,)


def test_sensitivity_is_the_mean_and_the_spread():
    assert Curvature((-1.0, -3.0), (0.0, 0.0)).sensitivity == pytest.approx(2 + 1)
    assert Curvature((1.0, -1.0), (0.0, 0.0)).sensitivity == pytest.approx(0 + 1)
    assert Curvature((4.0,), (0.0,)).sensitivity == 4


def test_a_real_model_is_measured_and_left_as_it_was():
    model, tokenizer = tiny_model("bert")
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    examples = Examples(texts=list(TEXTS[:6]), labels=[0, 1, 2, 0, 1, 2])
    encoded = encode_examples(examples, tokenizer, "classification", 32)
    slices = [[encoded.batch([0, 1, 2])], [encoded.batch([3, 4, 5])]]
    blocks = {
        str(index): tuple(
            name
            for name, value in model.named_parameters()
            if f".layer.{index}." in name and value.dim() == 2
        )
        for index in range(2)
    }

    def loss(model, given):
        return Supervised("classification").mean(model, given)

    found = curvatures(model, blocks, slices, loss, iterations=10)
    assert set(found) == {"0", "1"}
    assert all(curvature.sensitivity > 0 for curvature in found.values())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_refusals():
    model, data = Toy(), [[batch(4)]]
    with pytest.raises(ValueError, match="curvatures: 0 blocks and slices of"):
        curvatures(model, {}, data, cross_entropy)
    with pytest.raises(ValueError, match=r"1 blocks and slices of \[1, 0\] batches"):
        curvatures(model, {"a": ("last.bias",)}, [*data, []], cross_entropy)
    with pytest.raises(ValueError, match="a: the model has no parameter middle"):
        curvatures(model, {"a": ("middle",)}, data, cross_entropy)
    with pytest.raises(ValueError, match="a: it names no parameters"):
        curvatures(model, {"a": ()}, data, cross_entropy)
    with pytest.raises(ValueError, match="curvatures: the loss is nan"):
        curvatures(
            model, BLOCKS, data, lambda model, given: cross_entropy(model, given) * torch.nan
        )
    model.last.requires_grad_(False)
    with pytest.raises(ValueError, match=r"a: last.bias is frozen and has no gradient"):
        curvatures(model, {"a": ("last.bias",)}, data, cross_entropy)
