import json
from pathlib import Path

import pytest

from leanformer.report.attention import grid, last, lines, write_page


def event(name: str, length: int, ratio: float, causal: bool = False, **others: float) -> dict:
    """What `leanformer attention bench` writes."""
    work = {"length": length, "causal": causal, "backward": False, "device": "cpu", **others}
    spread = {"value": ratio, "low": ratio / 2, "high": ratio * 2, "unit": "x"}
    said = {"name": name, "work": work, "ratio": spread, "peak": 2**20 * length}
    return {"event": "attention", "mechanism": None, "environment": {"cpu": "A CPU"}, **said}


EVENTS = [event("dense", 512, 1), event("lsh", 512, 2), event("lsh", 1024, 0.5)]


def record(folder: Path, events: list[dict]) -> Path:
    """A record of these events."""
    path = folder / "attention.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    return path


def test_a_page_has_a_chart_and_a_table_for_each_kind_of_work(tmp_path: Path) -> None:
    drawn = {"event": "picture", "name": "lsh", "picture": [[0.0, 1.0], [1.0, 0.0]]}
    path = write_page(record(tmp_path, [*EVENTS, event("lsh", 512, 3, True), drawn]))
    page = path.read_text()
    assert path.suffix == ".html"
    assert "cpu bidirectional inference" in page
    assert "cpu causal inference" in page
    assert 'data-chart="picture/lsh"' in page
    assert "2.000 [1.00, 4.00]" in page
    assert "A CPU" in page
    assert "All of it was taken without padding." in page


def test_padded_texts_and_other_machines_have_charts_of_their_own(tmp_path: Path) -> None:
    elsewhere = {**event("lsh", 512, 7), "environment": {"cpu": "Another CPU"}}
    path = write_page(record(tmp_path, [*EVENTS, event("lsh", 512, 9, padded=0.25), elsewhere]))
    page = path.read_text()
    assert "cpu bidirectional inference with 25% padding" in page
    assert "taken without padding" not in page
    for number, shown in enumerate(("2.000 [1.00, 4.00]", "9.000 [4.50, 18.00]", "7.000 [")):
        part = page.split(f'<section id="part-{number}">')[1].split("</section>")[0]
        assert shown in part
        assert ("Another CPU" in part) == (number == 2)
    assert 'id="part-3"' not in page


def test_lines_run_over_the_lengths_and_the_last_measurement_counts() -> None:
    rows = last([*EVENTS, event("lsh", 512, 4)])
    spec = lines(rows, "ratio", "ratio")
    found = {trace["name"]: (trace["x"], trace["y"]) for trace in spec["data"]}
    assert found == {"dense": ([512], [1]), "lsh": ([512, 1024], [4, 0.5])}
    memory = lines(rows, "peak", "MiB")["data"][0]
    assert memory["y"] == [512]


def test_what_was_not_measured_is_a_dash() -> None:
    table = grid(last(EVENTS))
    assert table["head"] == ["mechanism", "512 tokens", "1024 tokens"]
    assert table["body"][0] == ["dense", "1.000 [0.50, 2.00]", "–"]


def test_a_record_without_measurements_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing was measured; run leanformer attention bench"):
        write_page(record(tmp_path, [{"event": "run"}]))
