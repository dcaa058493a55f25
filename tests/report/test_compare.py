from report import rivals_sample, sample

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


def test_cascades_and_n_grams_side_by_side(record):
    text = compare(record("rivals"), record("needless"))
    assert f"{rivals_sample.CASCADE} in A, n-grams in B" in text
    cost = next(line for line in text.splitlines() if line.startswith("A million texts"))
    assert cost.split()[-5:] == ["2.1", "min", "5.1", "s", "0.04×"]
    assert "Passed on, dev" in text
    assert "n-grams, measured in both." in text
    assert "\nL3-h50-f50, measured" not in text


def test_a_record_of_before_beside_one_with_cascades(record):
    text = compare(record("full"), record("rivals"))
    assert f"L3-h50-f50 in A, {rivals_sample.CASCADE} in B" in text
    assert "teacher · OpenVINO int8, measured in both." in text
