from report import sample

from leanformer.report import compare, write_comparison


def test_two_runs_side_by_side(record):
    text = compare(record("full"), record("missed"))
    assert "L3-h50-f50 in A, L2-h50-f50 in B" in text
    line = next(line for line in text.splitlines() if line.startswith("Size on disk"))
    assert line.split() == ["Size", "on", "disk", "7.7", "MB", "6.9", "MB", "0.90×"]
    assert "No student kept 99 %" in text


def test_different_machines_and_models_are_said(tmp_path):
    a = sample.write(tmp_path / "a.jsonl", sample.full())
    other = sample.run(model="bert-base", environment={"cpu": "another", "cores": 2, "threads": 2})
    b = sample.write(tmp_path / "b.jsonl", [other, *sample.full()[1:]])
    text = compare(a, b)
    assert "The machines differ" in text
    assert "The models differ" in text
    assert "machines differ" not in compare(a, a)


def test_records_without_students(record):
    assert "Nothing has been measured yet." in compare(record("minimal"), record("full"))


def test_a_page_of_two_runs(record, tmp_path):
    path = write_comparison(record("full"), record("unfinished"))
    assert path == tmp_path / "compare.html"
    html = path.read_text()
    assert "B: The run has not finished" in html
    assert "The last column is B over A." in html
