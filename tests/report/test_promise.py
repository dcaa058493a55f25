import math
from pathlib import Path
from typing import Any

import pytest

from leanformer.core.record import Record
from leanformer.report import promise_lines
from leanformer.report.events import load

PROMISE = {
    "metric": "accuracy", "examples": 1300, "teacher": 0.9, "student": 0.89, "kept": 0.98889,
    "lower": 0.97999, "keep": 0.95, "confidence": 0.9, "needed": 210, "method": "",
    "proven": True, "holds": True,
}  # fmt: skip
MAJORITY = {
    "label": "normal", "share": 0.98, "accuracy": 0.98, "constant": False, "better": False,
    "proven": False,
}  # fmt: skip


def lines(
    folder: Path, *, simplest: tuple[float, float] | None = None, **verdict: Any
) -> list[str]:
    """The lines of a record with this verdict; `simplest`: the rival's quality and throughput."""
    record = Record(folder / "record.jsonl")
    record.write("run", command="", keep=0.95, goal=verdict.pop("goal", "throughput"))
    systems = [
        ("teacher", "teacher", "pytorch", 0.9, 1.0),
        ("L3", "candidate", "openvino", 0.89, 10.0),
        ("L1", "candidate", "openvino", 0.86, 20.0),
    ]
    if simplest is not None:
        systems.append(("TF-IDF · linear model", "baseline", "scikit-learn", *simplest))
    for name, role, backend, quality, speed in systems:
        quantities = {"throughput": {"value": speed, "unit": "texts/s"}}
        if backend == "scikit-learn":
            quantities["fit"] = {"value": 1.94, "unit": "s"}
        record.write(
            "model", name=name, role=role, backend=backend, metric="accuracy",
            quality={"dev": quality}, quantities=quantities,
        )  # fmt: skip
    record.write("verdict", **({"chosen": "L3", "outcome": "kept", "promise": PROMISE} | verdict))
    return promise_lines(load(record.path))


def test_a_proven_promise_names_its_bound_which_is_never_rounded_up(tmp_path: Path) -> None:
    assert lines(tmp_path) == [
        "Kept: dev (1,300 texts) proves with 90% confidence that at least 97.99 % of the teacher's "
        "accuracy is kept; 95 % was asked."
    ]


@pytest.mark.parametrize(
    ("promise", "way_out"),
    [
        ({"proven": False, "needed": 2100}, "A proof needs about 2,100 texts in dev."),
        ({"proven": False, "needed": None}, "the estimate has no margin."),
        ({"proven": True}, "a slower one is not proven, and the sequence of tests ends there."),
    ],
)
def test_what_is_not_proven_says_what_would_prove_it(
    tmp_path: Path, promise: dict[str, Any], way_out: str
) -> None:
    (line,) = lines(tmp_path, outcome="unproven", promise=PROMISE | promise)
    assert line.startswith("Not proven: dev (1,300 texts) estimates that 98.89 % of the teacher's")
    assert line.endswith(way_out)


@pytest.mark.parametrize("lower", [-math.inf, -0.39, 0.0])
def test_a_bound_that_is_not_above_nothing_proves_nothing(tmp_path: Path, lower: float) -> None:
    promise = PROMISE | {"proven": False, "examples": 1, "lower": lower}
    (line,) = lines(tmp_path, outcome="unproven", promise=promise)
    assert line.startswith("Not proven: dev (1 text) estimates")
    assert "and proves nothing with 90% confidence; 95 % was asked." in line


@pytest.mark.parametrize(("value", "said"), [(0.0, "0.0 %"), (-0.5, "-0.500")])
def test_a_test_split_on_which_the_teacher_is_worth_nothing_is_told_of(
    tmp_path: Path, value: float, said: str
) -> None:
    lines(tmp_path)
    Record(tmp_path / "record.jsonl").write(
        "model", name="teacher", role="teacher", quality={"test": value}
    )
    told = promise_lines(load(tmp_path))
    assert told[1].startswith(f"Warning: the teacher's accuracy on the test split is {said}, so")


def test_a_promise_that_is_not_kept_says_why(tmp_path: Path) -> None:
    (line,) = lines(tmp_path / "a", outcome="not kept", refuted=True)
    assert line.startswith(
        "Not kept: the test split proves with 90% confidence that less than 95 %"
    )
    short = PROMISE | {"holds": False, "kept": 0.9}
    (line,) = lines(tmp_path / "b", outcome="not kept", promise=short)
    assert line.startswith("Not kept: as exported, 90.00 % of the teacher's accuracy on dev")
    (line,) = lines(tmp_path / "nan", outcome="not kept", promise=short | {"kept": math.nan})
    assert line.startswith("Not kept: as exported, no share of the teacher's accuracy on dev")
    assert lines(tmp_path / "c", outcome="not kept", promise=None)[0].startswith(
        "Not kept: no model"
    )


def test_faster_ones_without_proof_are_named_with_their_estimates(tmp_path: Path) -> None:
    assert lines(tmp_path, faster=["L1"])[1] == (
        "Faster, with an estimate that holds and no proof: L1 (95.6 %)."
    )


@pytest.mark.parametrize(
    ("goal", "how"),
    [
        ("latency", "With a lower latency"), ("size", "Smaller"), ("memory", "With less memory"),
    ],
)  # fmt: skip
def test_better_ones_are_called_by_what_the_search_was_for(
    tmp_path: Path, goal: str, how: str
) -> None:
    assert lines(tmp_path, faster=["L1"], goal=goal)[1].startswith(f"{how}, with an estimate")


def test_the_simplest_rival_is_told_of_and_preferred_where_it_is_better(tmp_path: Path) -> None:
    said = lines(tmp_path / "worse", simplest=(0.8, 80.0))[1]
    assert said == (
        "TF-IDF with a linear model, fitted in 1.9 s, keeps 88.9 % of the teacher's accuracy on dev, "
        "where L3 keeps 98.9 %, at 8.0× its speed."
    )
    assert lines(tmp_path / "better", simplest=(0.9, 80.0))[1].endswith(
        "here it is the better choice."
    )
    assert "better" not in lines(tmp_path / "slower", simplest=(0.9, 8.0))[1]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {},
            "no better than always answering the commonest class, 'normal', which is right for 98.0",
        ),
        ({"better": True}, "is not proven to be better than always answering the commonest class"),
        ({"constant": True}, "gives every text of dev one answer"),
    ],
)
def test_a_model_that_is_worth_nothing_is_said_to_be_so(
    tmp_path: Path, found: dict[str, Any], words: str
) -> None:
    assert words in lines(tmp_path, majority=MAJORITY | found)[1]


def test_one_that_is_worth_something_needs_no_warning(tmp_path: Path) -> None:
    assert len(lines(tmp_path / "a", majority=MAJORITY | {"proven": True})) == 1
    assert len(lines(tmp_path / "b", majority=None)) == 1


def test_notes_come_last(tmp_path: Path) -> None:
    assert lines(tmp_path, note="Dev chose too.")[-1] == "Dev chose too."


def test_an_older_record_says_nothing(tmp_path: Path) -> None:
    assert lines(tmp_path, outcome=None) == []


def test_a_test_split_that_measured_less_without_proof_is_told_beside_the_promise(
    tmp_path: Path,
) -> None:
    record = Record(tmp_path / "record.jsonl")
    lines(tmp_path)
    for name, test in (("teacher", 0.9), ("L3", 0.8532)):
        role = "teacher" if name == "teacher" else "candidate"
        record.write("model", name=name, role=role, quality={"test": test})
    (line,) = promise_lines(load(record.path))
    assert line.startswith("Kept: dev (1,300 texts) proves")
    assert line.endswith(
        "The test split measured 94.80 %, less than asked, without proving it with 90% confidence."
    )
