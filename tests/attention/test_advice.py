from typing import Any

import pytest

from leanformer.attention import LSH, Linear, Routing
from leanformer.attention.advice import advise, between, crossover
from leanformer.core.codec import encode


def event(name: str, mechanism: Any, length: int, ratio: float, **work: bool) -> dict[str, Any]:
    """What `bench` writes."""
    return {
        "name": name,
        "mechanism": None if mechanism is None else encode(mechanism),
        "work": {"length": length, "causal": False, "backward": False, **work},
        "ratio": {"value": ratio},
    }


EVENTS = [
    event("dense", None, 512, 1.0),
    event("lsh", LSH(), 512, 2.0),
    event("lsh", LSH(), 2048, 0.5),
    event("linear", Linear(), 512, 0.9),
    event("linear", Linear(), 512, 0.4),
    event("linear", Linear(), 2048, 0.1),
    event("routing", Routing(), 512, 1.5),
    event("lsh", LSH(chunks=True), 512, 1.2, causal=True),
]


def test_the_fastest_comes_first_and_dense_is_no_advice() -> None:
    found = advise(EVENTS, 1024, causal=False, backward=False)
    assert [one.name for one in found] == ["linear", "lsh"]
    assert found[0].ratio == pytest.approx(0.2)
    assert found[1].ratio == pytest.approx(1.0)
    assert (found[0].crossover, found[1].crossover) == (512, 1024)


def test_what_must_be_trained_and_what_is_not_strict_is_said() -> None:
    at_512 = {one.name: one for one in advise(EVENTS, 512, causal=False, backward=False)}
    assert at_512["routing"].learned
    assert not at_512["lsh"].learned
    (one,) = advise(EVENTS, 512, causal=True, backward=False)
    assert not one.exact


def test_nothing_is_claimed_that_was_not_measured() -> None:
    with pytest.raises(ValueError, match=r"length: 9000 is outside .* 512 to 2048"):
        advise(EVENTS, 9000, causal=False, backward=False)
    with pytest.raises(ValueError, match="nothing was measured of bidirectional training"):
        advise(EVENTS, 512, causal=False, backward=True)


def test_ratios_lie_on_lines_in_logarithms() -> None:
    ratios = {256: 4.0, 1024: 1.0, 4096: 0.25}
    assert between(ratios, 512) == pytest.approx(2.0)
    assert between(ratios, 1024) == 1.0
    assert crossover({256: 2.0, 1024: 0.5}) == 512
    assert crossover({256: 2.0, 1024: 1.5}) is None
    assert crossover({256: 0.5, 1024: 1.5}) is None
    assert crossover({256: 0.5, 1024: 0.1}) == 256
