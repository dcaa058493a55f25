import pytest
from report import rivals_sample, sample

from leanformer.report.costs import million
from leanformer.report.events import load
from leanformer.report.lineup import lineup


def field_of(tmp_path, events):
    return lineup(load(sample.write(tmp_path / "r.jsonl", events)))


def test_a_million_texts_by_the_rate_of_one_thread(tmp_path):
    field = field_of(tmp_path, rivals_sample.rivals())
    cost = million(field, field.rival)
    assert cost.value == pytest.approx(1e6 / 620)
    assert (cost.low, cost.high) == (pytest.approx(1e6 / 651), pytest.approx(1e6 / 589))


def test_all_by_cpu_seconds_where_one_has_no_rate_of_one_thread(tmp_path):
    events = rivals_sample.rivals()
    del events[1]["quantities"]["throughput_one_thread"]
    field = field_of(tmp_path, events)
    for system in (field.teacher, field.rival):
        assert million(field, system).value == 1e6 * system.of("cpu_time").value


def test_what_was_not_timed_has_no_cost(tmp_path):
    field = field_of(tmp_path, rivals_sample.rivals())
    untimed = next(s for s in field.systems if s.name == "L2-h25-f25")
    assert million(field, untimed) is None
    assert million(field_of(tmp_path, [sample.run(), *sample.models()[8:10]]), untimed) is None
