import json
from dataclasses import replace

import pytest
from report import sample

from leanformer.report.drawing import charts
from leanformer.report.events import load
from leanformer.report.front import AXES, front
from leanformer.report.lineup import lineup


def traces(spec):
    return {trace["name"]: trace for trace in spec["data"] if "name" in trace}


@pytest.mark.parametrize("axis", list(AXES))
@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_front_is_plain_json(record, axis, split):
    spec = front(lineup(load(record("full"))), axis, split)
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert spec["layout"]["xaxis"]["title"]["text"] == AXES[axis][1]


def test_marks_bars_and_threshold_of_the_front(record):
    spec = front(lineup(load(record("full"))), "latency_32", "dev")
    chosen = traces(spec)["Chosen: L3-h50-f50"]
    assert chosen["x"] == [pytest.approx(0.68)]
    assert chosen["error_x"]["array"] == [pytest.approx(0.0204)]
    assert "99.1 % of the teacher's" in chosen["hovertext"][0]
    assert "2.6× teacher · OpenVINO int8" in chosen["hovertext"][0]
    assert spec["layout"]["shapes"][0]["y0"] == pytest.approx(0.99 * 0.9208)
    assert len(traces(spec)["Students below it"]["x"]) == 2


@pytest.mark.parametrize(("keep", "shown"), [(0.99, True), (0.5, False)])
def test_the_quality_asked_for_is_in_sight_unless_it_would_squeeze_the_marks(record, keep, shown):
    field = lineup(load(record("full")))
    for system in field.systems:  # no mark is below what is asked
        system.quality["dev"] = field.teacher.quality["dev"]
    made = front(replace(field, keep=keep), "latency_32", "dev")["layout"]
    (line,) = made["shapes"]
    assert line["y0"] == pytest.approx(keep * field.teacher.quality["dev"])
    assert (made["yaxis"]["range"][0] < line["y0"]) == shown


@pytest.mark.parametrize("quality", [0.0, -0.2])
def test_of_a_worthless_teacher_no_quality_is_asked(record, quality):
    field = lineup(load(record("full")))
    field.teacher.quality["dev"] = quality
    assert "shapes" not in front(field, "latency_32", "dev")["layout"]


@pytest.mark.parametrize(("axis", "sign"), [("latency_32", 1), ("throughput", -1)])
def test_no_system_beats_one_on_the_staircase(record, axis, sign):
    field = lineup(load(record("full")))
    line = traces(front(field, axis, "dev"))["Best at each speed"]
    scale = 1 if axis == "throughput" else 1000
    for x, y in zip(line["x"], line["y"], strict=True):
        better = [
            s
            for s in field.systems
            if s.of(axis) and sign * scale * s.of(axis).value < sign * x and s.quality["dev"] >= y
        ]
        assert better == []


def test_nothing_measured_is_no_front(record):
    assert front(lineup(load(record("minimal"))), "latency_32", "dev") is None


def test_ranges_stand_in_the_order_of_the_losses_and_say_both_ends():
    rows = list(reversed(sample.losses()[0]["rows"]))
    spec = charts.ranges(rows)
    inputs, weights = spec["data"]
    worst = sorted(rows, key=lambda row: -row["loss"])
    assert inputs["x"] == [max(-row["low"], row["high"]) for row in worst]
    assert inputs["customdata"] == [[row["low"], row["high"]] for row in worst]
    assert weights["x"] == [row["weight"] for row in worst]
    names = charts.losses(rows)["layout"]["yaxis"]["ticktext"]
    assert spec["layout"]["yaxis"]["ticktext"] == names


def test_ranges_are_drawn_only_where_the_record_has_them():
    assert charts.ranges([]) is None
    assert charts.ranges([{"layer": "a", "loss": 0.1}]) is None


def test_losses_are_worst_first_without_what_all_names_share():
    rows = list(reversed(sample.losses()[0]["rows"]))
    (bar,) = charts.losses(rows)["data"]
    assert bar["x"] == sorted(bar["x"], reverse=True)
    assert charts.losses(rows)["layout"]["yaxis"]["ticktext"][0] == "layer.0.output.dense"
    assert charts.losses(rows[:1])["layout"]["yaxis"]["ticktext"][0].endswith(
        "layer.2.attention.self.query"
    )


def test_slices_of_one_name_stay_apart_and_are_escaped():
    rows = [{"name": sample.HOSTILE, "count": 3, "teacher": 0.5, "student": 0.6}] * 2
    spec = charts.slices(rows, "accuracy")
    assert traces(spec)["Teacher"]["y"] == [0, 1]
    assert "<script" not in json.dumps(spec)


def test_training_curves_are_thinned_and_keep_their_end():
    events = [{"model": "A", "step": step, "loss": 1 / (1 + step)} for step in range(5000)]
    (curve,) = charts.training(events, "loss", "loss")["data"]
    assert len(curve["x"]) <= 401
    assert curve["x"][-1] == 4999
    assert charts.training(events, "dev", "accuracy") is None
