import json

from report import sample

from leanformer.report.drawing import charts


def traces(spec):
    return {trace["name"]: trace for trace in spec["data"] if "name" in trace}


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
