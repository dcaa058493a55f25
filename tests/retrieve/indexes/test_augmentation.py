import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from index_cases import clustered

from leanformer.retrieve.indexes.augmentation import Space, augment, augment_queries, norms
from leanformer.retrieve.indexes.vector_rows import HeldRows

NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False)
ROWS = st.tuples(st.integers(1, 9), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float64, shape, elements=NUMBERS),
        hnp.arrays(np.float64, shape[1], elements=NUMBERS),
    )
)


@given(ROWS)
def test_the_order_of_distances_is_that_of_inner_products_whatever_the_norms(given_: tuple) -> None:
    rows, query = given_
    longest = float(norms(rows).max())
    augmented, asked = augment(rows, longest), augment_queries(query[None])
    distances = ((augmented - asked) ** 2).sum(1)
    products = rows @ query
    # |x' - q'|² = M² + |q|² - 2 x·q, so that order and gaps are those of the products
    expected = longest**2 + query @ query - 2 * products
    scale = longest**2 + query @ query + 1
    np.testing.assert_allclose(distances, expected, atol=1e-9 * scale)
    best = products.argmax()
    assert distances[best] <= distances.min() + 1e-9 * scale


@given(ROWS)
def test_all_augmented_rows_are_equally_long(given_: tuple) -> None:
    rows, _ = given_
    longest = float(norms(rows).max())
    np.testing.assert_allclose(norms(augment(rows, longest)), longest, atol=1e-6 * (longest + 1))


def test_a_row_longer_than_the_longest_gets_nothing() -> None:
    made = augment(np.array([[3.0, 4.0]], np.float32), 4.9)
    assert made.tolist() == [[3.0, 4.0, 0.0]]
    assert made.dtype == np.float32


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("width", [5, 8])
def test_nearest_in_the_space_is_the_largest_inner_product(unit: bool, width: int) -> None:
    rows = clustered(300, width, unit=unit, shift=2.0)
    queries = clustered(20, width, unit=False, seed=1)
    space = Space.of(HeldRows(rows))
    assert space.augmented is not unit
    assert space.placed_width % 4 == 0
    placed, asked = space.rows(rows), space.queries(queries)
    assert placed.shape == (300, space.placed_width)
    distances = ((placed[None].astype(float) - asked[:, None]) ** 2).sum(2)
    assert (distances.argmin(1) == (queries @ rows.T).argmax(1)).all()
    assert abs(placed.mean(0)).max() < 1e-5  # centred


def test_whole_numbers_fill_the_grid_and_keep_the_order() -> None:
    rows = clustered(300, 32, unit=False)
    space = Space.of(HeldRows(rows), whole=True)
    placed = space.rows(rows)
    assert (placed == np.rint(placed)).all()
    assert abs(placed).max() == 127
    asked = space.queries(1e6 * clustered(50, 32, seed=3))
    assert abs(asked).max() <= 127


def test_rows_of_zeros_and_queries_of_zeros_stay_finite() -> None:
    rows = np.zeros((3, 4), np.float32)
    for whole in (False, True):
        space = Space.of(HeldRows(rows), whole)
        assert np.isfinite(space.rows(rows)).all()
        assert np.isfinite(space.queries(rows)).all()


@settings(max_examples=20)
@given(st.integers(1, 40), st.booleans(), st.booleans())
def test_a_space_survives_its_arrays(width: int, unit: bool, whole: bool) -> None:
    rows = clustered(20, width, unit=unit)
    space = Space.of(HeldRows(rows), whole)
    again = Space.read(space.arrays(), width)
    assert (again.rows(rows) == space.rows(rows)).all()
    assert (again.queries(rows) == space.queries(rows)).all()


def test_arrays_that_are_no_space_are_refused() -> None:
    arrays = Space.of(HeldRows(clustered(20, 6))).arrays()
    with pytest.raises(ValueError, match="not the space of vectors of width 9"):
        Space.read(arrays, 9)
    for wrong in (np.array([-1.0, 0, 0]), np.array([np.nan, 0, 0])):
        with pytest.raises(ValueError, match="numbers that no space has"):
            Space.read({**arrays, "factors": wrong}, 6)


def test_rows_that_are_not_augmented_are_compared_by_inner_products() -> None:
    rows, queries = clustered(200, 6, unit=False), clustered(9, 6, seed=1)
    space = Space.of(HeldRows(rows), augmenting=False)
    assert space.inner
    assert not space.augmented
    products = space.queries(queries) @ space.rows(rows).T
    assert (products.argmax(1) == (queries @ rows.T).argmax(1)).all()
    assert not Space.of(HeldRows(clustered(200, 6)), augmenting=False).inner
