import json
import re

import pytest
from report import rivals_sample, sample

from leanformer.report import write_report


def specs(html):
    return json.loads(
        re.search(r'<script type="application/json" id="specs">(.*?)</script>', html, re.S)[1]
    )


def text_of(path):
    """The page without plotly.js."""
    return re.sub(r"<script>.*?</script>", "", path.read_text(), flags=re.S)


def test_a_full_record_has_every_section(record):
    path = write_report(record("full"))
    assert path.name == "report.html"
    html = text_of(path)
    for section in (
        "verdict",
        "front",
        "systems",
        "steps",
        "slices",
        "disagreements",
        "search",
        "race",
        "reproduce",
    ):
        assert f'<section id="{section}">' in html
    assert (
        re.sub("<.*?>", "", re.search(r'<code id="command">(.*?)</code>', html)[1])
        == sample.run()["command"]
    )
    assert "the smoke test ended with signal SIGFPE" in html


@pytest.mark.parametrize("name", ["minimal", "unfinished", "missed"])
def test_what_was_not_recorded_is_left_out(record, tmp_path, name):
    html = text_of(write_report(record(name), tmp_path / "page.html"))
    for section in ("slices", "disagreements", "race"):
        assert f'id="{section}"' not in html
    assert ("not finished" in html) == (name != "missed")
    assert ('id="front"' in html) == (name != "minimal")


def test_texts_of_users_are_escaped(record):
    html = text_of(write_report(record("full")))
    assert "<script>window.hacked" not in html
    assert "&lt;script&gt;window.hacked" in html
    assert "<b>refund" not in html


def test_hostile_names_cannot_leave_the_data(tmp_path):
    events = sample.full()
    for event in events:
        for key in ("name", "model", "chosen"):
            if event.get(key) == "L3-h50-f50":
                event[key] = sample.HOSTILE
    path = write_report(sample.write(tmp_path / "r.jsonl", events))
    html = path.read_text()
    assert "<script>window.hacked" not in html
    data = specs(html)
    assert "window.hacked" in json.dumps(data)
    assert "<script" not in json.dumps(data)


def test_nothing_is_fetched(record):
    html = text_of(write_report(record("full")))
    assert "default-src 'none'" in html
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)


def test_a_page_is_written_whole_or_not_at_all(record, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("before")
    broken = record("full")
    broken.write_text('{"event": "model"\nhello\n' + broken.read_text())
    with pytest.raises(ValueError, match="is no event"):
        write_report(broken, out)
    assert out.read_text() == "before"


def controls(html):
    return re.findall(r'name="axis" value="(\w+)"', html)


@pytest.mark.parametrize(
    ("goal", "first", "best"),
    [
        (None, "cost", "fastest"),
        ("throughput", "cost", "fastest"),
        ("latency", "latency_mean", "one with the lowest latency"),
        ("size", "size", "smallest"),
        ("memory", "memory", "one that needs the least memory"),
    ],
)
def test_the_first_axis_is_what_the_search_was_for(tmp_path, goal, first, best):
    run, *rest = rivals_sample.rivals()
    events = [run | {"goal": goal}, *rest]
    html = text_of(write_report(sample.write(tmp_path / "r.jsonl", events)))
    assert controls(html)[0] == first
    assert ("size" in controls(html)) == (goal == "size")
    assert f"The {best} that is proven to keep it is chosen" in html


def test_thresholds_stand_in_the_search(record):
    html = text_of(write_report(record("rivals")))
    assert html.count("Thresholds of n-grams →") == 2
    assert "Price of a core-hour" in html
    assert "Thresholds" not in text_of(write_report(record("full")))
