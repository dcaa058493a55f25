"""A plan in a terminal of 80 columns and on the page, whatever its names hold."""

import re
from typing import Any

import pytest
from report import sample

from leanformer.report import markdown, plan_lines, write_report
from leanformer.report.events import load
from leanformer.report.plan import labels_table, plan_tables, printable

NASTY = [
    "[/b][red]x",
    "<script>window.hacked = true</script>",
    "two\nlines",
    "\x1b[31mred",
    "a\u202eb",
]


def plan(count: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "event": "plan",
        "facts": [["Data", ["orders/ (train.tsv)", "dev: 10 % of the rows"]], ["Task", ["x " * 90]]],
        "splits": [
            {"split": "train", "rows": 1222, "repeated": 3, "contradictory": 1, "cut": 12,
             "longest": 302, "queries": None, "numbers": None},
            {"split": "test", "rows": 19, "repeated": 0, "contradictory": 0, "cut": 0, "longest": 9,
             "queries": None, "numbers": None},
        ],
        "labels": [{"name": f"label {n}", "train": 10 + n, "test": n} for n in range(count)],
        "max_length": 64,
        "warnings": ["leak: 2 of the 19 rows of test " + "are in train " * 8],
        "notes": ["1 text in both"],
    } | changes  # fmt: skip


def test_lines_are_aligned_and_fit_a_terminal() -> None:
    lines = plan_lines(plan())
    assert max(map(len, lines)) <= 80
    assert lines[:3] == ["Plan", "  Data  orders/ (train.tsv)", "        dev: 10 % of the rows"]
    start = lines.index("  split   rows  repeated  contradictory  cut at 64  longest")
    assert lines[start + 1 : start + 3] == [
        "  train  1,222         3              1         12      302",
        "  test      19         0              0          0        9",
    ]
    assert "  label    train  test" in lines
    assert any(line.startswith("  ! leak: 2 of the 19 rows") for line in lines)
    assert lines[-1] == "  - 1 text in both"


def test_of_many_labels_the_commonest_and_the_rarest_are_shown() -> None:
    lines = plan_lines(plan(count=40))
    shown = [
        line.split()[1] for line in lines if line.startswith("  label ") and "train" not in line
    ]
    assert shown == ["39", "38", "37", "36", "35", "34", "33", "32", "2", "1", "0"]
    assert any("… 29 more …" in line for line in lines)
    assert "label 12 " in "\n".join(plan_lines(plan(count=12))).replace("label 11", "label 12 ")


def test_wide_and_long_names_keep_the_columns() -> None:
    names = ["返品", "e\u0301t\u00e9", "y" * 60]
    labels = [{"name": name, "train": 5} for name in names]
    lines = plan_lines(plan(labels=labels))
    (wide, accents, long) = [line for line in lines if line.endswith("  5")]
    assert len(wide) == 49 - 2  # two characters take two columns each
    assert len(accents) == 49 + 1
    assert len(long) == 49
    assert "…" in long


def test_numbers_and_queries_have_columns_where_they_are_known() -> None:
    rows = [{**plan()["splits"][0], "queries": 24, "numbers": [0.5, 2.25, 4.5]}]
    text = "\n".join(plan_lines(plan(splits=rows, labels=[])))
    assert re.search(r"longest  queries +labels \(mean\)\n.* 24  0\.5 to 4\.5 \(2\.25\)", text)


@pytest.mark.parametrize("name", NASTY)
def test_names_are_shown_and_nothing_else_happens(name: str, tmp_path: Any) -> None:
    told = plan(
        facts=[["Not read", [name]]], notes=[f"{name} is odd"], labels=[{"name": name, "train": 1}]
    )
    lines = plan_lines(told)
    assert all(line.isprintable() for line in lines)
    assert len(lines) == len(plan_lines(plan(facts=[["Not read", ["x"]]], notes=["x"], labels=[{"name": "x", "train": 1}])))  # fmt: skip
    path = write_report(sample.write(tmp_path / "record.jsonl", [sample.run(), told]))
    page = re.sub(r"<script>.*?</script>", "", path.read_text(), flags=re.S)
    section = page[page.index('<section id="plan">') : page.index('<section id="reproduce">')]
    assert "<script" not in section
    assert "hacked = true&lt;/script&gt;" in section or "hacked" not in name
    assert not re.search("[\x1b\u202e]", section)


def test_what_does_not_print_is_escaped() -> None:
    assert printable("a\nb\x1b[0m\u202e é 返 [/b]") == "a\\nb\\x1b[0m\\u202e é 返 [/b]"


def test_the_page_has_the_plan_folded_and_its_warnings_on_top(record: Any, tmp_path: Any) -> None:
    path = write_report(sample.write(tmp_path / "record.jsonl", [*sample.full(), plan()]))
    page = path.read_text()
    section = page[page.index('<section id="plan">') : page.index('<section id="reproduce">')]
    for said in (
        "orders/ (train.tsv); dev: 10 % of the rows",
        "cut at 64",
        "label 2",
        "1 text in both",
    ):
        assert said in section.replace("\u00a0", " ")
    assert section.count("<details>") == 3
    assert page.index("Leak: 2 of the 19 rows") < page.index('<section id="plan">')
    assert '<section id="plan">' not in write_report(record("full")).read_text()


def test_the_summary_has_the_warnings(tmp_path: Any) -> None:
    path = sample.write(tmp_path / "record.jsonl", [*sample.full(), plan()])
    assert "> Leak: 2 of the 19 rows" in markdown(path)


def test_the_last_plan_counts(tmp_path: Any) -> None:
    events = [sample.run(), plan(notes=["first"]), plan(notes=["second"])]
    assert load(sample.write(tmp_path / "r.jsonl", events)).plan["notes"] == ["second"]


def test_a_plan_without_its_parts_is_refused(tmp_path: Any) -> None:
    event = {key: value for key, value in plan().items() if key != "splits"}
    path = sample.write(tmp_path / "r.jsonl", [sample.run(), event])
    with pytest.raises(ValueError, match=r"r\.jsonl:2: the event 'plan' has no 'splits'"):
        load(path)


def test_tables_without_labels() -> None:
    assert list(plan_tables(plan(count=0))) == ["Facts", "Splits"]
    table = labels_table(plan(count=400)["labels"])
    assert len(table.rows) == 300
    assert "The first 300 of 400." in table.caption
