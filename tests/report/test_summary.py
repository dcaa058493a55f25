import re

from report import sample

from leanformer.report import markdown


def test_markdown_has_the_verdict_tables_and_command(record):
    text = markdown(record("full"))
    assert text.startswith("**3 layers in int8 run 2.6×")
    assert "```bash\nleanformer compress ./minilm" in text
    for heading in (
        "## Systems",
        "## Proofs of L3-h50-f50",
        "## The search",
        "## Backends",
        "## Environment",
    ):
        assert heading in text


def test_every_row_has_the_columns_of_its_table(tmp_path):
    events = sample.full()
    next(e for e in events if e["event"] == "choice")["reason"] = "a | b\n<b>c"
    text = markdown(sample.write(tmp_path / "r.jsonl", events))
    assert "a \\| b &lt;b>c" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_an_unfinished_record_says_so(record):
    assert "> The run has not finished" in markdown(record("unfinished"))
    assert markdown(record("minimal")).startswith("**Nothing has been measured yet.**")


def test_markdown_has_the_thresholds_of_cascades(record):
    text = markdown(record("rivals"))
    assert "## Thresholds" in text
    assert "| 7.0 % | 0.410 | 99.25 % | 98.65 % | proven |" in text
    assert "2.1 min" in text
