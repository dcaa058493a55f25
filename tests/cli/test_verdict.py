"""The verdict as last lines and as exit code, of records that are made up."""

import pytest
import typer

from leanformer.cli.verdict import tell_verdict
from leanformer.core.record import Record

_PROMISE = {
    "metric": "accuracy", "examples": 300, "teacher": 0.9, "student": 0.89, "kept": 0.99,
    "lower": 0.97, "keep": 0.95, "confidence": 0.9, "needed": 210, "method": "",
    "proven": True, "holds": True,
}  # fmt: skip


@pytest.fixture
def record(tmp_path):
    made = Record(tmp_path / "record.jsonl")
    made.write("run", command="", keep=0.95)
    for name, role, quality in (("teacher", "teacher", 0.9), ("L2", "candidate", 0.89)):
        made.write("model", name=name, role=role, metric="accuracy", quality={"dev": quality})
    return made


@pytest.mark.parametrize(
    ("outcome", "code", "begins"),
    [("kept", 0, "Kept: "), ("unproven", 3, "Not proven: "), ("not kept", 4, "Not kept: ")],
)
def test_outcomes_end_with_their_codes(record, capsys, outcome, code, begins):
    refuted = outcome == "not kept"
    record.write("verdict", chosen="L2", outcome=outcome, promise=_PROMISE, refuted=refuted)
    if code:
        with pytest.raises(typer.Exit) as ended:
            tell_verdict(record.path)
        assert ended.value.exit_code == code
    else:
        tell_verdict(record.path)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].startswith("L2 ")
    assert lines[-1].startswith(begins)


def test_nothing_chosen_is_not_kept(record):
    record.write("verdict", chosen=None, outcome="not kept", sentence="Nothing was kept.")
    with pytest.raises(typer.Exit) as ended:
        tell_verdict(record.path)
    assert ended.value.exit_code == 4


@pytest.mark.parametrize(("chosen", "code"), [("L2", 3), (None, 4)])
def test_a_record_that_says_nothing_of_proof_is_not_taken_for_proven(record, chosen, code):
    record.write("verdict", chosen=chosen)
    with pytest.raises(typer.Exit) as ended:
        tell_verdict(record.path)
    assert ended.value.exit_code == code
