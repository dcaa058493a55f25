import pytest
from report import sample


@pytest.fixture
def record(tmp_path):
    (tmp_path / "run").mkdir()
    return sample.write(tmp_path / "run" / "record.jsonl", sample.full())


def test_report_writes_the_page_beside_the_record(run, record):
    code, shown, said = run("report", record)
    assert code == 0, said
    assert shown.strip() == str(record.with_name("report.html"))
    assert "<html" in record.with_name("report.html").read_text()


def test_report_takes_a_folder_and_an_output(run, record, tmp_path):
    out = tmp_path / "page.html"
    code, shown, said = run("report", record.parent, "--out", out)
    assert code == 0, said
    assert shown.strip() == str(out)
    assert out.is_file()


def test_report_of_no_record_is_refused(run, tmp_path):
    code, _, said = run("report", tmp_path / "record.jsonl")
    assert code == 2
    assert "no such record" in said


def test_compare_shows_both_and_writes_a_page(run, record, tmp_path):
    out = tmp_path / "compare.html"
    code, shown, said = run("compare", record, record.parent, "--out", out)
    assert code == 0, said
    assert "What was run." in shown
    assert shown.strip().endswith(str(out))
    assert out.is_file()


def test_compare_with_a_file_that_is_no_record_is_refused(run, record, tmp_path):
    other = tmp_path / "notes.jsonl"
    other.write_text('{"a": 1}\n{"event": "model"}\n')
    code, _, said = run("compare", record, other)
    assert code == 2
    assert "Traceback" not in said
    assert "notes.jsonl" in said
