import pytest
from report import rivals_sample, sample

from leanformer.core.quantity import Quantity
from leanformer.report.events import load
from leanformer.report.lineup import lineup, named, ratio


def test_the_baselines_are_found(record):
    field = lineup(load(record("full")))
    assert field.teacher.name == field.eager.name == "teacher · PyTorch fp32"
    assert field.rival.name == "teacher · OpenVINO int8"
    assert field.chosen.name == "L3-h50-f50"
    assert field.splits == ["dev", "test"]


def test_ratios_to_each_baseline(record):
    field = lineup(load(record("full")))
    assert field.over_rival(field.chosen).value == pytest.approx(1757 / 676)
    assert field.over_eager(field.chosen).value == pytest.approx(1757 / (236 / 1.9))
    assert field.smaller(field.chosen).value == pytest.approx(90.9 / 7.7)
    assert field.kept(field.chosen, "test") == pytest.approx(0.9031 / 0.9094)
    assert field.over_rival(field.rival) is None
    assert field.kept(field.candidates[0], "test") is None


@pytest.mark.parametrize("value", [0.0, -0.5])
def test_of_a_teacher_that_is_worth_nothing_no_share_is_kept(record, value):
    field = lineup(load(record("full")))
    field.teacher.quality["test"] = value
    assert field.kept(field.chosen, "test") is None


def test_a_ratio_has_the_widest_spread():
    over = ratio(Quantity(10.0, "texts/s", 9.0, 12.0), Quantity(5.0, "texts/s", 4.0, 6.0))
    assert (over.value, over.low, over.high) == (2.0, 1.5, 3.0)
    assert ratio(Quantity(10.0, "s"), Quantity(5.0, "s", 4.0, 8.0)).low == 1.25
    assert ratio(None, Quantity(1.0, "s")) is None
    assert ratio(Quantity(1.0, "s"), Quantity(0.0, "s")) is None


def test_a_name_without_its_backend_is_found(record):
    systems = lineup(load(record("full"))).systems
    assert named(systems, "teacher").name == "teacher · PyTorch fp32"
    assert named(systems, "L3") is None
    assert named(systems, None) is None


def test_what_is_proven_of_each_candidate(record):
    field = lineup(load(record("rivals")))
    proven = {system.name for system in field.candidates if system.proven}
    assert proven == {"L4-h100-f100", rivals_sample.CASCADE}
    assert field.simplest.name == "TF-IDF · linear model"


@pytest.mark.parametrize(("outcome", "proven"), [("kept", True), ("unproven", False)])
def test_the_verdict_has_the_last_word_about_what_was_chosen(tmp_path, outcome, proven):
    events = [
        *rivals_sample.rivals(outcome="kept")[:-1],
        sample.verdict(chosen="n-grams", outcome=outcome),
    ]
    field = lineup(load(sample.write(tmp_path / "r.jsonl", events)))
    assert field.chosen.proven is proven


def test_the_thresholds_of_a_cascade_are_found_in_its_exported_form_too(tmp_path, record):
    field = lineup(load(record("rivals")))
    assert field.gate(field.chosen)["name"] == rivals_sample.CASCADE
    assert field.gate(field.teacher) is None
    events = rivals_sample.rivals(exported="served")
    served = rivals_sample.cascade("served", 0.92, 0.91, 9000, 0.1, 0.07)
    field = lineup(load(sample.write(tmp_path / "r.jsonl", [*events, served])))
    assert field.exported.name == "served"
    assert field.gate(field.exported)["name"] == rivals_sample.CASCADE


def test_a_cascade_that_passes_nothing_on_proves_its_first_system(tmp_path):
    events = rivals_sample.rivals()
    alone = rivals_sample.gate("n-grams → L4-h100-f100", "L4-h100-f100", 0.99, 0.0)
    choices = [e for e in events if e.get("name") == "n-grams" and e["event"] == "choice"]
    events = [alone, *(e for e in events if e not in choices)]  # a search decides nothing of them
    field = lineup(load(sample.write(tmp_path / "r.jsonl", events)))
    assert next(s for s in field.systems if s.name == "n-grams").proven
