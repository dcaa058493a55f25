import numpy as np
import pytest

from leanformer.retrieve.indexes.selection import Selection, selection


def test_a_selection_counts_lists_and_packs_its_rows() -> None:
    mask = np.zeros(19, bool)
    mask[[0, 9, 18]] = True
    made = Selection(mask)
    assert made.count == 3
    assert made.rows.tolist() == [0, 9, 18]
    assert made.bits.tolist() == [1, 2, 4]


def test_all_rows_are_no_selection() -> None:
    assert selection(None, 4) is None
    assert selection(np.ones(4, bool), 4) is None
    made = Selection(np.array([True, False]))
    assert selection(made, 2) is made


@pytest.mark.parametrize("wrong", [np.ones(3, bool), np.ones(4), np.arange(2), [1, 2]])
def test_anything_but_a_bool_per_row_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"allowed: .*give one bool per row, shape \(4,\)"):
        selection(wrong, 4)  # type: ignore[arg-type]
