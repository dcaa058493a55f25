import pytest
from report import rivals_sample, sample

from leanformer.report.events import load


def test_a_full_record_is_sorted_by_kind(record):
    events = load(record("full"))
    assert len(events.models) == 11
    assert {event["by"] for event in events.slices} == {"class", "length"}
    assert events.verdict["chosen"] == "L3-h50-f50"
    assert events.notes == []


def test_a_folder_stands_for_its_record(tmp_path):
    sample.write(tmp_path / "record.jsonl", sample.minimal())
    assert load(tmp_path).path == tmp_path / "record.jsonl"


def test_a_missing_record(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl: no such record"):
        load(tmp_path / "none.jsonl")


@pytest.mark.parametrize("text", ["", "\n  \n"])
def test_an_empty_record(tmp_path, text):
    path = tmp_path / "record.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match="is empty"):
        load(path)


@pytest.mark.parametrize(
    "line", ['{"event": "model", oops}', "hello", "[1, 2]", '{"name": "no event"}']
)
def test_a_broken_line_in_the_middle_is_named(record, line):
    path = record("full")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], line, *lines[3:]]))
    with pytest.raises(ValueError, match=r"full\.jsonl:4: .* is no event"):
        load(path)


def test_a_broken_last_line_is_left_out_with_a_note(record):
    events = load(record("unfinished", tail='{"event": "model", "name": "L2 \\" {'))
    assert any("cut short" in note for note in events.notes)
    assert len(events.models) == 5


def test_a_half_line_before_a_resumption_is_left_out_with_a_note(tmp_path):
    path = sample.write(
        tmp_path / "r.jsonl", sample.unfinished(), tail='{"event": "training", "lo\n'
    )
    with path.open("a") as file:
        file.write(sample.write(tmp_path / "again.jsonl", sample.full()).read_text())
    events = load(path)
    assert any("cut short" in note for note in events.notes)
    assert any("resumed once" in note for note in events.notes)
    assert len(events.models) == 11


def test_no_run_event(tmp_path):
    with pytest.raises(ValueError, match="no `run` event"):
        load(sample.write(tmp_path / "r.jsonl", sample.models()))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"event": "model", "role": "teacher"}, "'model' has no 'name'"),
        ({"event": "choice", "name": "L3"}, "'choice' has no 'decision'"),
        (
            {"event": "slices", "by": "class", "rows": 3},
            "'rows' of the event 'slices' must be a list",
        ),
    ],
)
def test_an_event_without_what_it_needs(tmp_path, event, message):
    with pytest.raises(ValueError, match=f"r.jsonl:2: .*{message}"):
        load(sample.write(tmp_path / "r.jsonl", [sample.run(), event]))


def test_what_is_measured_later_is_added(tmp_path):
    early = {"event": "model", "name": "A", "role": "candidate", "quality": {"dev": 0.0, "test": None},
             "quantities": {"size": {"value": 3.0, "unit": "bytes"}}}  # fmt: skip
    late = {
        "event": "model",
        "name": "A",
        "role": "candidate",
        "quality": {"dev": None, "test": 0.8},
        "quantities": {},
    }
    (model,) = load(sample.write(tmp_path / "r.jsonl", [sample.run(), early, late])).models
    assert model["quality"] == {"dev": 0.0, "test": 0.8}
    assert model["quantities"]["size"]["value"] == 3.0


def test_a_number_that_is_not_finite_is_absent(tmp_path):
    path = sample.write(
        tmp_path / "r.jsonl",
        [sample.run()],
        tail='{"event": "training", "model": "A", "loss": 1, "dev": NaN}\n',
    )
    assert load(path).training[0]["dev"] is None


def test_the_last_thresholds_of_a_cascade_count(tmp_path):
    events = rivals_sample.rivals()
    again = rivals_sample.gate(rivals_sample.CASCADE, "teacher · OpenVINO int8", 0.99, 0.5)
    found = load(sample.write(tmp_path / "r.jsonl", [*events, again])).gates
    assert [gate["rate"] for gate in found] == [0.5, 0.1]


def test_thresholds_without_their_systems_are_refused(tmp_path):
    event = rivals_sample.gates()[0]
    del event["second"]
    with pytest.raises(ValueError, match="'gate' has no 'second'"):
        load(sample.write(tmp_path / "r.jsonl", [sample.run(), event]))
