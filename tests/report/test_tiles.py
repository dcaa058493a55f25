import pytest
from report import sample

from leanformer.report.events import load
from leanformer.report.tiles import tiles


def test_tiles_name_their_baselines_and_the_bar(record):
    made = tiles(load(record("full")))
    assert [tile.figure for tile in made] == [
        "2.6×",
        "14.1×",
        "99.3 %",
        "18 min",
        "11.8×",
        "0.68 ms",
    ]
    assert "OpenVINO int8" in made[0].label
    assert "PyTorch fp32" in made[1].label
    assert made[2].met is True
    assert tiles(load(record("minimal"))) == []


@pytest.mark.parametrize(("dev", "met"), [(0.9208, True), (0.8, False)])
def test_the_tile_says_whether_the_bar_was_met(tmp_path, dev, met):
    events = sample.full()
    chosen = next(e for e in events if e.get("name") == "L3-h50-f50")
    chosen["quality"] = {"dev": dev, "test": None}
    made = tiles(load(sample.write(tmp_path / "r.jsonl", events)))
    assert next(tile for tile in made if "accuracy" in tile.label).met is met


def test_a_cascade_tells_its_cost_and_its_mean_and_worst_latency(record):
    *_, cost, _, latency = tiles(load(record("rivals")))
    assert (cost.figure, cost.detail) == ("2.1 min", "27 min by OpenVINO int8 of the teacher")
    assert (latency.figure, latency.label) == ("0.14 ms", "a text of yours on average, batch 1")
    assert latency.detail == "at worst 2.4 ms, where a text is passed on"


def test_n_grams_are_told_in_microseconds(record):
    *_, cost, size, latency = tiles(load(record("needless")))
    assert (cost.figure, size.figure, latency.figure) == ("5.1 s", "21.6×", "6.0 µs")
