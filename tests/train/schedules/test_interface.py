import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.train.schedules import ConstantRate, CosineDecay, LinearDecay
from leanformer.train.schedules.interface import LearningRateSchedule


@given(
    kind=st.sampled_from([LinearDecay, CosineDecay, ConstantRate]),
    steps=st.integers(1, 300),
    warmup=st.floats(0, 0.99),
)
def test_it_rises_then_never_rises_again_and_no_step_is_wasted(
    kind: type[LearningRateSchedule], steps: int, warmup: float
) -> None:
    factors = [kind(warmup=warmup).factor(step, steps) for step in range(steps)]
    top = int(warmup * steps)
    assert all(0 < value <= 1 for value in factors)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)


@pytest.mark.parametrize("warmup", [-0.1, 1.0])
def test_a_warmup_that_leaves_no_step_is_refused(warmup: float) -> None:
    with pytest.raises(ValueError, match=rf"warmup: {warmup} is not at least 0 and below 1"):
        LinearDecay(warmup=warmup)
