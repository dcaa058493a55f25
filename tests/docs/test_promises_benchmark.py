"""`benchmarks/promises.py` on a tiny pool of made-up answers, and its page as it stands."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import matthews_corrcoef

from leanformer.core.record import read
from leanformer.numerics.metrics import Accuracy

ROOT = Path(__file__).parents[2]
DRAWS = 60


@pytest.fixture
def promises(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("promises")


def pool_of(promises: ModuleType):
    """2,000 texts, of which the teacher has 1,800 right. "half" has 1,746 of these right, 97 %;
    "third" one text less."""
    gold = np.zeros(2000, dtype=int)
    places = np.arange(2000)
    answers = {"gold": gold, "teacher": (places >= 1800).astype(int)}
    answers["int8"] = answers["teacher"]
    answers["half"] = (places >= 1746).astype(int)
    answers["third"] = (places >= 1745).astype(int)
    return promises.Pool(Accuracy(), answers)


def test_promises_on_a_pool_whose_truth_is_known(promises):
    pool = pool_of(promises)
    assert pool.kept == pytest.approx({"int8": 1, "half": 0.97, "third": 1745 / 1800})
    found = promises.simulate(pool, 300, draws=DRAWS, resamples=200)
    assert found["covered"]["int8"] == DRAWS
    assert min(found["covered"].values()) >= 0.8 * DRAWS
    at = {choice["keep"]: choice for choice in found["choices"]}
    for choice in at.values():
        assert choice["held"].keys() <= choice["made"].keys()
    # "third" keeps a little less than 97 %: by its estimate it is taken half of the time, wrongly
    made, held = at[0.97]["made"], at[0.97]["held"]
    assert made["plain"] == DRAWS
    assert 0.3 * DRAWS < made["plain"] - held["plain"] < 0.7 * DRAWS
    assert made["bound"] - held["bound"] <= 0.2 * DRAWS
    assert made["exact"] - held["exact"] <= 0.2 * DRAWS
    # of 95 % there is a margin, and all promises hold
    assert at[0.95]["made"] == at[0.95]["held"]


def test_a_draw_is_the_same_each_time(promises):
    pool = pool_of(promises)
    first, second = (promises.simulate(pool, 50, draws=3, resamples=50) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("right", "count"), [(0, 20), (19, 20), (20, 20), (280, 300)])
def test_exact_bound_is_that_of_clopper_and_pearson(promises, right, count):
    teacher = np.array([[1, 1]] * count + [[0, 1]] * 5)
    student = np.array([[1, 1]] * right + [[0, 1]] * (count - right) + [[1, 1]] * 5)
    test = binomtest(right, count, alternative="greater")
    exact = test.proportion_ci(confidence_level=0.9, method="exact").low
    assert promises.exact_lower(teacher, student) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize(
    ("proven", "chosen"),
    [([True, True, True], "c"), ([True, False, True], "a"), ([False, True, True], None)],
)
def test_sequence_stops_at_the_first_that_is_not_proven(promises, proven, chosen):
    assert promises.last_before_false(("a", "b", "c"), proven) == chosen


def test_page_shows_what_missed_and_what_is_too_rare_to_judge(promises):
    event = {
        "data": "made-up",
        "metric": "accuracy",
        "size": 300,
        "pool": 1000,
        "draws": 100,
        "teacher": 0.9,
        "kept": {"int8": 1.0, "half": 0.97},
        "covered": {"int8": 100, "half": 85},
        "choices": [
            {"keep": 0.97, "made": {"bound": 80, "plain": 90, "exact": 60}, "held": {"bound": 60}},
            {"keep": 0.99, "made": {"bound": 40}, "held": {"bound": 3}},
        ],
    }
    lines = importlib.import_module("promises_page").page([event]).splitlines()
    assert "| one student | 200 | 92.5% | 1 of 2 **missed** | 85.0% (85 of 100) |" in lines
    assert "| a choice | 120 | 52.5% **missed** | 0 of 1 **missed** | 75.0% (60 of 80) |" in lines
    assert "| made-up | accuracy | 300 | 100.0% | – | 85.0% **missed** | – | – |" in lines
    rates = "80% | 75.0% **missed** | 20.0% | 90%, 0.0% | 60%, 0.0% |"
    assert f"| made-up | accuracy | 300 | 97% | {rates}" in lines
    assert "| made-up | accuracy | 300 | 99% | 40% | (3 of 40) | 37.0% | (0 of 0) | – |" in lines


def test_page_stands_as_its_record_says(promises):
    page = importlib.import_module("promises_page").page(read(promises.SIMULATED))
    assert page == (ROOT / "docs/results/promises.md").read_text()


def test_committed_answers_have_the_quality_that_the_page_gives(promises):
    answers = promises.answers_of("sst2")
    event = next(e for e in read(promises.SIMULATED) if (e["data"], e["metric"]) == ("sst2", "mcc"))
    teacher, half = (matthews_corrcoef(answers["gold"], answers[n]) for n in ("teacher", "half"))
    assert event["teacher"] == pytest.approx(teacher)
    assert event["kept"]["half"] == pytest.approx(half / teacher)
