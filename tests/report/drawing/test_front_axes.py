import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.report.drawing.front_axes import AXES, log_range

POSITIVE = st.floats(1e-3, 1e6)


@given(first=POSITIVE, second=POSITIVE, share=st.floats(0, 1))
def test_rates_of_a_cascade_add_up_as_their_times_do(first, second, share):
    times = AXES["cost"].together(1 / first, 1 / second, share)
    rates = AXES["throughput"].together(first, second, share)
    assert rates == pytest.approx(1 / times)
    assert AXES["cost"].together(first, second, 0) == first


@given(st.lists(POSITIVE, min_size=1, max_size=6), st.booleans())
def test_the_range_holds_all_marks_and_ticks_lie_inside(values, spans):
    made = log_range(values, spans=spans)
    low, high = made["range"]
    assert low < math.log10(min(values))
    assert math.log10(max(values)) < high
    assert len(made["tickvals"]) == len(made["ticktext"]) <= 24
    assert all(low <= math.log10(tick) <= high for tick in made["tickvals"])


@given(st.lists(st.floats(1, 1e5), min_size=1, max_size=3), st.booleans())
def test_there_is_always_a_tick(values, spans):
    assert log_range(values, spans=spans)["tickvals"]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([5, 9000], ["10 s", "1 min", "10 min", "1 h"]),
        ([240, 9000], ["10 min", "30 min", "1 h"]),
        ([1600, 2400], ["30 min"]),
        ([150_000, 3500], ["1 h", "3 h", "10 h", "30 h"]),
        ([30, 200], ["30 s", "1 min", "3 min"]),
        ([0.2, 0.01, 2000], ["0.01 s", "0.1 s", "1 s", "10 min"]),
    ],
)
def test_seconds_are_read_as_minutes_and_hours(values, texts):
    found = log_range(values, spans=True)["ticktext"]
    assert set(texts) <= set(found), found


def test_of_the_sizes_no_share_is_passed_on():
    assert [name for name, axis in AXES.items() if not axis.adds] == ["size", "memory"]
