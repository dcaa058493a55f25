from report import rivals_sample, sample

from leanformer.report import tables
from leanformer.report.events import load
from leanformer.report.lineup import lineup


def test_systems_carry_units_spreads_and_ratios(record):
    table = tables.systems(lineup(load(record("full"))))
    heads = [(c.name, c.unit) for c in table.columns]
    assert ("Latency 32", "ms") in heads
    assert ("Speed-up", "× OpenVINO int8") in heads
    chosen = next(row for row in table.rows if row.kind == "chosen")
    cells = dict(zip(heads, chosen.cells, strict=True))
    assert cells["Latency 32", "ms"].text == "0.68"
    assert cells["Latency 32", "ms"].below == "0.66–0.70"
    assert cells["Speed-up", "× OpenVINO int8"].text == "2.60"
    assert (cells["Accuracy", "test, kept"].below, cells["Accuracy", "test, kept"].mark) == (
        "99.3 %",
        "good",
    )


def test_one_thread_stands_in_the_unit_so_that_headings_stay_narrow(tmp_path):
    events = [sample.run(), *sample.models()]
    for event in events[1:]:
        for name in ("latency_32", "throughput"):
            if name in event["quantities"]:
                event["quantities"][f"{name}_one_thread"] = event["quantities"][name]
    table = tables.systems(lineup(load(sample.write(tmp_path / "r.jsonl", events))))
    heads = [(column.name, column.unit) for column in table.columns]
    assert {("Latency 32", "ms, one thread"), ("Sorted", "texts/s, one thread")} <= set(heads)
    assert len(heads) == len(set(heads))
    assert "from strings to answers" in table.caption


def test_a_column_that_nothing_fills_is_left_out(tmp_path):
    events = [sample.run(), *sample.models()]
    for event in events[1:]:
        event["quantities"].pop("memory", None)
    table = tables.systems(lineup(load(sample.write(tmp_path / "r.jsonl", events))))
    assert "Memory" not in [column.name for column in table.columns]


def test_decisions_keep_their_order_and_reasons(record):
    events = load(record("full"))
    rows = tables.decisions(events, lineup(events)).rows
    assert [row.cells[0].text for row in rows][:2] == ["L6-h50-f50", "L4-h50-f50"]
    assert rows[4].cells[2].mark == "bad"
    assert rows[7].cells[3].text == "0.4 minutes are left, its training takes 1.1"
    assert rows[8].kind == "chosen"


def test_the_race_tells_who_was_skipped_and_why(record):
    rows = tables.race(load(record("full")).backends).rows
    assert rows[0].cells[4].text == "chosen"
    assert [cell.text for cell in rows[4].cells] == [
        "openvino fp16",
        "–",
        "–",
        "–",
        "skipped",
        "the smoke test ended with signal SIGFPE",
    ]


def test_rows_say_what_a_million_texts_cost_and_what_a_cascade_passes_on(record):
    table = tables.systems(lineup(load(record("rivals"))))
    heads = [column.name for column in table.columns]
    rows = {row.cells[0].text: dict(zip(heads, row.cells, strict=True)) for row in table.rows}
    assert rows["n-grams"]["A million texts"].text == "5.1 s"
    assert (
        rows["n-grams"]["A million texts"].sort < rows[rivals_sample.BEHIND]["A million texts"].sort
    )
    cascade = rows[rivals_sample.CASCADE]
    assert (cascade["Passed on"].text, rows["n-grams"]["Passed on"].text) == ("6.9 %", "–")
    assert (cascade["One by one"].text, cascade["One by one"].below) == (
        "0.140",
        "median 0.11, worst 2.4",
    )
    assert "fitted in 4.3 s" in rows["n-grams"]["System"].below
