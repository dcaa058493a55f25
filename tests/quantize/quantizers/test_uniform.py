import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.numerics.blocks import blocked
from leanformer.quantize.quantizers import Uniform


def weight(rows=6, columns=8, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rows_equal_torchs_fake_quantize(bits):
    given = weight(5, 7).float()
    top = 2 ** (bits - 1) - 1
    scale = given.abs().amax(1) / top
    zeros = torch.zeros(5, dtype=torch.int32)
    expected = torch.fake_quantize_per_channel_affine(given, scale, zeros, 0, -top, top)
    found = Uniform(bits=bits).quantize(given)
    torch.testing.assert_close(found.dequantized(), expected, rtol=0, atol=1e-6)
    assert found.row_scaled


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_an_affine_tensor_equals_torchs_fake_quantize(bits):
    given = weight(5, 7).float() + 0.7
    low, high = min(0.0, float(given.min())), float(given.max())
    scale = (high - low) / (2**bits - 1)
    zero = round(-low / scale)
    expected = torch.fake_quantize_per_tensor_affine(given, scale, zero, 0, 2**bits - 1)
    found = Uniform(bits=bits, symmetric=False, granularity="tensor").quantize(given)
    torch.testing.assert_close(found.dequantized(), expected, rtol=0, atol=1e-5)
    assert not found.row_scaled


LAYOUTS = [
    {"granularity": "tensor"},
    {"granularity": "row"},
    {"granularity": "row-group", "group_size": 3},
    {"granularity": "row-group", "num_groups": 3},
    {"granularity": "group", "group_size": 4},
]


@given(
    st.integers(2, 8),
    st.booleans(),
    st.sampled_from(LAYOUTS),
    st.integers(0, 50),
    st.floats(1e-3, 1e3),
)
def test_the_error_is_half_a_step_and_zero_stays_zero(bits, symmetric, layout, seed, size):
    given = weight(seed=seed) * size
    given[0, 0] = 0
    found = Uniform(bits=bits, symmetric=symmetric, **layout).quantize(given)
    error = blocked((found.dequantized() - given).abs(), found.block)
    assert (error <= found.scale * (0.5 + 1e-9)).all()
    assert found.dequantized()[0, 0] == 0
    half = 2 ** (bits - 1)
    assert found.codes_OI.min() >= (1 - half if symmetric else -half)
    assert found.codes_OI.max() <= half - 1


def test_groups_are_what_shares_a_scale():
    by_group = Uniform(granularity="row-group", group_size=2).quantize(weight())
    assert by_group.scale.shape == (3, 1, 1, 1)
    assert torch.equal(
        by_group.codes_OI,
        Uniform(granularity="row-group", num_groups=3).quantize(weight()).codes_OI,
    )
    alone = Uniform(granularity="tensor").quantize(weight()[2:4])
    assert torch.equal(by_group.codes_OI[2:4], alone.codes_OI)
    columns = Uniform(granularity="group", group_size=4).quantize(weight())
    alone = Uniform(granularity="row").quantize(weight()[:, 4:])
    assert torch.equal(columns.codes_OI[:, 4:], alone.codes_OI)


@pytest.mark.parametrize("symmetric", [True, False])
def test_least_squares_beats_min_max_block_by_block(symmetric):
    given = weight(16, 64)
    given[:, 0] *= 10
    errors = {}
    for clipping in ("min-max", "mse"):
        found = Uniform(bits=4, symmetric=symmetric, clipping=clipping).quantize(given)
        errors[clipping] = (found.dequantized() - given).square().sum(1)
    assert (errors["mse"] <= errors["min-max"] + 1e-12).all()
    assert errors["mse"].sum() < 0.95 * errors["min-max"].sum()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 9}, "bits: 9 is not between 2 and 8"),
        ({"granularity": "row-group"}, "set exactly one of group_size and num_groups"),
        ({"granularity": "group", "group_size": 2, "num_groups": 2}, '"group" set exactly one of'),
        ({"group_size": 4}, 'group_size: granularity = "row" has no groups; set it to "group"'),
        (
            {"granularity": "row-group", "group_size": -1, "num_groups": 2},
            "group_size: -1 is not at least 0",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Uniform(**fields)


def test_weights_that_do_not_suit_are_refused():
    with pytest.raises(ValueError, match="group_size: 5 does not divide the 8 columns of a weight"):
        Uniform(granularity="group", group_size=5).quantize(weight())
    with pytest.raises(ValueError, match="num_groups: 4 does not divide the 6 rows"):
        Uniform(granularity="row-group", num_groups=4).quantize(weight())
    with pytest.raises(ValueError, match="weight: it holds NaN or infinity"):
        Uniform().quantize(torch.full((2, 2), torch.nan))
