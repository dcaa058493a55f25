import json
from dataclasses import replace

import pytest
from report import rivals_sample, sample

from leanformer.report.drawing.front import front
from leanformer.report.drawing.front_axes import AXES
from leanformer.report.events import load
from leanformer.report.lineup import lineup

NGRAMS = "n-grams, not proven"


def traces(spec):
    return {trace["name"]: trace for trace in spec["data"]}


@pytest.fixture
def field(record):
    return lineup(load(record("rivals")))


@pytest.mark.parametrize("axis", list(AXES))
@pytest.mark.parametrize("split", ["dev", "test"])
@pytest.mark.parametrize("name", ["full", "rivals"])
def test_the_front_is_plain_json(record, name, axis, split):
    spec = front(lineup(load(record(name))), axis, split)
    if name == "full" and axis == "latency_mean":
        assert spec is None  # not measured by versions before
        return
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert spec["layout"]["xaxis"]["title"]["text"] == AXES[axis].title


def test_marks_bars_and_the_share_that_was_asked(record):
    spec = front(lineup(load(record("full"))), "latency_32", "dev")
    chosen = traces(spec)["Chosen: L3-h50-f50"]
    assert chosen["x"] == [pytest.approx(0.68)]
    assert chosen["y"] == [pytest.approx(0.9125 / 0.9208)]
    assert chosen["error_x"]["array"] == [pytest.approx(0.0204)]
    assert "99.1 % of the teacher's" in chosen["hovertext"][0]
    assert "2.6× teacher · OpenVINO int8" in chosen["hovertext"][0]
    assert spec["layout"]["shapes"][0]["y0"] == 0.99
    assert len(traces(spec)["Students, not proven"]["x"]) == 1


def test_each_system_is_in_the_picture_or_named_beside_it(field):
    spec = front(field, "cost", "dev")
    marks = [t for t in spec["data"] if t["mode"] == "markers"]
    drawn = " ".join(card for trace in marks for card in trace["hovertext"])
    for system in field.systems:
        assert (f"<b>{system.name}</b>" in drawn) != (system.name == "L2-h25-f25")
    assert spec["missing"] == (
        "Below 90 %: L1-h25-f25 (86.4 %). Not measured on this axis: L2-h25-f25 (94.5 %)."
    )
    below = traces(spec)["Below 90 %"]
    assert below["y"] == [0.9]
    assert "86.4 % of the teacher's" in below["hovertext"][0]


def test_costs_are_seconds_of_one_thread_per_million_texts(field):
    found = traces(front(field, "cost", "dev"))
    assert found[NGRAMS]["x"] == [pytest.approx(1e6 / 195_000)]
    assert found["teacher · OpenVINO int8"]["x"] == [pytest.approx(1e6 / 620)]


@pytest.mark.parametrize(
    ("keep", "chosen", "floor"),
    [(0.99, 0.995, 0.90), (0.9, 0.95, 0.89), (0.8, 0.95, 0.79), (0.99, 0.75, 0.74)],
)
def test_the_window_ends_at_90_percent_unless_less_was_asked_or_chosen(field, keep, chosen, floor):
    field = replace(field, keep=keep)
    field.exported.quality["dev"] = chosen * field.teacher.quality["dev"]
    low, high = front(field, "cost", "dev")["layout"]["yaxis"]["range"]
    assert low == pytest.approx(floor - 0.004)
    assert high == pytest.approx(0.9220 / 0.9208 + 0.004)


@pytest.mark.parametrize("quality", [0.0, -0.2])
def test_of_a_worthless_teacher_no_share_is_drawn(field, quality):
    field.teacher.quality["dev"] = quality
    assert front(field, "latency_32", "dev") is None


def test_nothing_is_asked_where_the_record_asks_nothing(field):
    spec = front(replace(field, keep=None), "cost", "dev")
    assert "shapes" not in spec["layout"]
    assert "Students" in traces(spec)


@pytest.mark.parametrize("axis", list(AXES))
def test_no_system_beats_one_on_the_staircase(field, axis):
    line = traces(front(field, axis, "dev"))["Best at each cost"]
    sign = -1 if AXES[axis].upward else 1
    for x, y in zip(line["x"], line["y"], strict=True):
        better = [
            s
            for s in field.systems
            if (at := AXES[axis].of(field, s)) is not None
            and sign * at < sign * x
            and field.kept(s, "dev") >= y
        ]
        assert better == []


def test_the_star_is_hollow_without_a_proof(record, tmp_path, field):
    star = traces(front(field, "cost", "dev"))[f"Chosen: {rivals_sample.CASCADE}"]
    assert (star["marker"]["color"], star["meta"]["symbol"]) == ("var(--chosen)", "star")
    events = rivals_sample.rivals(outcome="unproven")
    unproven = lineup(load(sample.write(tmp_path / "u.jsonl", events)))
    star = traces(front(unproven, "cost", "dev"))[f"Chosen: {rivals_sample.CASCADE}, not proven"]
    assert (star["marker"]["color"], star["meta"]["symbol"]) == ("var(--card)", "star-open")


def test_better_says_which_way(field):
    assert front(field, "cost", "dev")["better"] == "Better is up and left"
    assert front(field, "throughput", "dev")["better"] == "Better is up and right"


def test_nothing_measured_is_no_front(record):
    assert front(lineup(load(record("minimal"))), "latency_32", "dev") is None


def test_all_below_the_picture_are_at_its_edge(field):
    for system in field.systems:
        if system is not field.teacher:
            system.quality["dev"] = 0.1
    spec = front(replace(field, exported=None), "size", "dev")
    assert len(traces(spec)["Below 90 %"]["x"]) == 10
    assert "L2-h25-f25 (10.9 %)" in spec["missing"]
