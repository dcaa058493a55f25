import pytest
from runtime_samples import TEXTS

from leanformer.measure.systems import LOADS, System, measure_systems
from leanformer.models.tiny import tiny_model
from leanformer.runtime.torch_backend import TorchSession


def system(layers):
    model, tokenizer = tiny_model("bert", num_hidden_layers=layers)
    return System(
        open=lambda: TorchSession(model, "classification", threads=1),
        tokenizer=tokenizer,
        max_length=48,
    )


@pytest.fixture(scope="module")
def measured():
    return measure_systems({"deep": system(3), "flat": system(1)}, TEXTS * 6, rounds=2)


def test_every_system_has_every_quantity_with_its_spread(measured):
    for quantities in measured.quantities.values():
        assert set(quantities) == {*LOADS, "cpu_time"}
        for quantity in quantities.values():
            assert 0 < quantity.low <= quantity.value <= quantity.high
    assert measured.quantities["flat"]["throughput"].unit == "texts/s"


def test_both_ran_in_the_same_rounds_so_ratios_can_be_taken(measured):
    assert measured.speedup("deep", "deep").value == 1
    assert measured.speedup("deep", "flat").value > 0
    assert measured.speedup_over_users("deep", "flat").unit == "x"


def test_sorting_saves_padding_and_latency_has_none(measured):
    padding = measured.padding["deep"]
    assert padding["throughput"][1] < padding["throughput_unsorted"][1]
    assert padding["throughput"][0] == padding["throughput_unsorted"][0]
    assert padding["latency_32"] == (16 * 32, 16 * 32)
    assert measured.pins["flat"]["threads"] == 1


def test_refusals():
    with pytest.raises(ValueError, match="loads: speed not among latency_32"):
        measure_systems({"a": system(1)}, TEXTS, loads=("speed",))
    with pytest.raises(ValueError, match="texts: a load is made of the caller's texts"):
        measure_systems({"a": system(1)}, [])
