import pytest
from report import rivals_sample

from leanformer.report.drawing.front_axes import AXES
from leanformer.report.drawing.gates import thresholds
from leanformer.report.events import load
from leanformer.report.lineup import lineup


@pytest.fixture
def field(record):
    return lineup(load(record("rivals")))


def test_the_line_goes_from_the_first_system_alone_to_all_texts_passed_on(field):
    line = thresholds(field, AXES["cost"], "dev")
    count = len(rivals_sample.RATES)
    xs, ys = line["x"][:count], line["y"][:count]
    assert xs[0] == pytest.approx(1e6 / 195_000)
    assert xs[-1] == pytest.approx(1e6 / 195_000 + 1e6 / 620)
    assert xs == sorted(xs)
    assert ys == sorted(ys)
    assert line["x"][count] is None  # a gap before the next cascade
    assert len(line["x"]) == len(line["y"]) == len(line["hovertext"]) == 2 * count + 1
    assert "passes 7.0 % on" in line["hovertext"][rivals_sample.RATES[::-1].index(0.07)]


@pytest.mark.parametrize(("axis", "split"), [("size", "dev"), ("cost", "test")])
def test_there_is_no_line_where_no_threshold_was_judged(field, axis, split):
    assert thresholds(field, AXES[axis], split) is None


def test_a_cascade_whose_parts_were_not_timed_has_no_line(field):
    for gate in field.gates:
        gate["second"] = "L2-h25-f25"
    assert thresholds(field, AXES["cost"], "dev") is None


def test_names_are_escaped_and_rates_without_a_share_left_out(field):
    (gate, _) = field.gates
    gate["name"] = "<b>x</b>"
    gate["rows"][3] |= {"kept": None}
    gate["rows"][4] |= {"lower": None}
    line = thresholds(field, AXES["throughput"], "dev")
    assert "&lt;b&gt;x" in line["hovertext"][0]
    assert len(line["x"]) == 2 * len(rivals_sample.RATES)
