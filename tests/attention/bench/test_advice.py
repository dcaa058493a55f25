from typing import Any

import pytest

from leanformer.attention import LSH, Linear, PerformerRelu, Routing, SlidingWindow
from leanformer.attention.bench.advice import KEEP, Question, advise, between, crossover
from leanformer.attention.presets import longformer
from leanformer.core.codec import encode

HERE = {"cpu": "A CPU", "cores": 2, "threads": 2, "torch": "2.13.0"}
THERE = {**HERE, "cpu": "another CPU"}


def event(
    name: str, mechanism: Any, length: int, ratio: float, where: Any = HERE, **work: Any
) -> dict[str, Any]:
    """What `bench` writes."""
    return {
        "name": name,
        "mechanism": None if mechanism is None else encode(mechanism),
        "work": {"length": length, "causal": False, "backward": False, "device": "cpu", **work},
        "ratio": {"value": ratio},
        "environment": where,
    }


def asked(length: int, **others: Any) -> Question:
    """A question of this machine."""
    return Question(**{"length": length, "environment": HERE, **others})


EVENTS = [
    event("dense", None, 512, 1.0),
    event("lsh", LSH(), 512, 2.0),
    event("lsh", LSH(), 2048, 0.5),
    event("linear", Linear(), 512, 0.9),
    event("linear", Linear(), 512, 0.4),
    event("linear", Linear(), 2048, 0.1),
    event("performer-relu", PerformerRelu(), 2048, 0.15),
    event("sliding-window", SlidingWindow(), 2048, 0.2),
    event("longformer", longformer(), 2048, 0.3),
    event("routing", Routing(), 512, 1.5),
    event("lsh", LSH(full_chunks=True), 512, 1.2, causal=True),
]


def test_the_fastest_comes_first_and_dense_is_not_listed() -> None:
    found = advise(EVENTS, asked(1024)).mechanisms
    assert [one.name for one in found] == ["linear", "lsh"]
    assert found[0].ratio == pytest.approx(0.2)
    assert found[1].ratio == pytest.approx(1.0)
    assert (found[0].crossover, found[1].crossover) == (512, 1024)


def test_parameters_and_strictness_are_told() -> None:
    at_512 = {one.name: one for one in advise(EVENTS, asked(512)).mechanisms}
    assert at_512["routing"].learned
    assert not at_512["lsh"].learned
    (one,) = advise(EVENTS, asked(512, causal=True)).mechanisms
    assert not one.exact


def test_a_trained_model_is_not_advised_what_would_ruin_it() -> None:
    """Linear and ReLU attention have no parameters and are the fastest, yet need training."""
    answer = advise(EVENTS, asked(2048))
    names = [one.name for one in answer.mechanisms]
    assert names == ["linear", "performer-relu", "sliding-window", "longformer", "lsh"]
    assert answer.best is not None
    assert answer.best.name == "longformer"
    assert "86.0% at once where dense has 86.7%" in answer.best.quality
    swaps = {one.name: one.swap for one in answer.mechanisms}
    assert swaps["linear"] == swaps["performer-relu"] == "loses"
    assert swaps["sliding-window"] == "unmeasured"


def test_who_trains_may_take_what_must_be_trained_but_not_what_ruins() -> None:
    trained = [{**one, "work": {**one["work"], "backward": True}} for one in EVENTS]
    best = advise(trained, asked(2048, backward=True)).best
    assert best is not None
    assert best.name == "linear"
    assert "must be trained" in best.quality
    lsh = [one for one in trained if one["name"] == "lsh"]
    assert advise(lsh, asked(2048, backward=True)).best is None


def test_dense_attention_is_kept_where_little_would_be_won() -> None:
    for ratio, name in ((KEEP, "longformer"), (KEEP + 0.01, None)):
        best = advise([event("longformer", longformer(), 2048, ratio)], asked(2048)).best
        assert (best.name if best is not None else None) == name


def test_measurements_of_another_machine_or_device_are_left_out_by_name() -> None:
    """They are faster and come last: one that counted would change the answer."""
    gpu = {**HERE, "gpu": "A GPU"}
    elsewhere = [
        event("longformer", longformer(), 2048, 0.01, THERE),
        event("longformer", longformer(), 2048, 0.01, {**HERE, "threads": 1}),
        event("longformer", longformer(), 2048, 0.01, gpu, device="cuda"),
        event("longformer", longformer(), 4096, 0.01, THERE),
        event("longformer", longformer(), 2048, 0.01, None),
    ]
    answer = advise([*EVENTS, *elsewhere], asked(2048))
    assert answer.best is not None
    assert answer.best.ratio == 0.3
    assert answer.left_out == {
        "cpu of another CPU, 2 cores, 2 threads, torch 2.13.0": 2,
        "cpu of A CPU, 2 cores, 1 threads, torch 2.13.0": 1,
        "cuda of A CPU, A GPU, 2 cores, 2 threads, torch 2.13.0": 1,
        "cpu of a machine that the record does not name": 1,
    }
    on_gpu = advise([*EVENTS, *elsewhere], asked(2048, environment=gpu, device="cuda"))
    assert [one.ratio for one in on_gpu.mechanisms] == [0.01]
    with pytest.raises(
        ValueError, match=r"measured elsewhere \(cpu of another CPU.*this is cpu of"
    ):
        advise(elsewhere, asked(2048))
    with pytest.raises(ValueError, match="length: 4096 is outside"):  # only measured elsewhere
        advise([*EVENTS, *elsewhere], asked(4096))


def test_padded_texts_are_another_question() -> None:
    padded = event("longformer", longformer(), 2048, 0.8, padded=0.25)
    assert [
        one.ratio for one in advise([*EVENTS, padded], asked(2048, padded=True)).mechanisms
    ] == [0.8]
    best = advise([*EVENTS, padded], asked(2048)).best
    assert best is not None
    assert best.ratio == 0.3
    with pytest.raises(
        ValueError, match="nothing was measured of bidirectional inference with pad"
    ):
        advise(EVENTS, asked(2048, padded=True))


def test_nothing_is_claimed_that_was_not_measured() -> None:
    with pytest.raises(ValueError, match=r"length: 9000 is outside .* 512 to 2048"):
        advise(EVENTS, asked(9000))
    with pytest.raises(ValueError, match="nothing was measured of bidirectional training without"):
        advise(EVENTS, asked(512, backward=True))
    with pytest.raises(ValueError, match="run leanformer attention bench"):
        advise([], asked(512))


def test_ratios_lie_on_lines_in_logarithms() -> None:
    ratios = {256: 4.0, 1024: 1.0, 4096: 0.25}
    assert between(ratios, 512) == pytest.approx(2.0)
    assert between(ratios, 1024) == 1.0
    assert crossover({256: 2.0, 1024: 0.5}) == 512
    assert crossover({256: 2.0, 1024: 1.5}) is None
    assert crossover({256: 0.5, 1024: 1.5}) is None
    assert crossover({256: 0.5, 1024: 0.1}) == 256
