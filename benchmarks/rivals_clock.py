"""What was chosen beside its rivals: timed in turn on one thread, from strings, and tested.

The rivals are what a user has without us: the int8 teacher (OpenVINO, NNCF) with Hugging Face's
tokenizer and all of its last layer, PyTorch in fp32 on batches as they come, ONNX Runtime, TF-IDF
with a linear model (scikit-learn), and a cascade of the last before the int8 teacher, whose
threshold is set by the plain rule (dev keeps what is asked, by estimate, which proves nothing). A
rival stands against a choice where its test quality is at least what was asked for. Our n-grams are
timed by that rule too, before our graph of the same teacher: so much of a difference is the price
of a proof, and the rest is our code.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rivals_sets import KEEPS, RESULTS, RUNS, SETS
from rivals_teachers import fast_teacher, plain_teacher

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record
from leanformer.data import Dataset
from leanformer.measure.environment import environment
from leanformer.measure.gates import choose_threshold, find_gate
from leanformer.measure.promise import Promise, judge_promise
from leanformer.measure.systems import Measured, measure_systems
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.serving.predictor import Predictor
from leanformer.runtime.systems.cascade import save_cascade
from leanformer.search.entry import FUSED_TEACHER, INT8_TEACHER, NGRAMS, SIMPLEST, TEACHER
from leanformer.search.judged import Judged, judge_outputs, judge_system

TEXTS = 512  # so many that what a cascade passes on fills batches, as with texts of a user
ROUNDS = 5
OURS = f"{INT8_TEACHER}, our graph and tokenizer"
_PLAIN = ((SIMPLEST, INT8_TEACHER), (NGRAMS, OURS))
"""Cascades by the plain rule: a user's, and the same of our parts."""
_JUDGED: dict[str, dict[str, Judged]] = {}
"""What the systems of a set say of dev, asked once."""
Place = tuple[Path, str | None, str | None]
"""Folder, backend and precision of a system; None = as the folder says."""


def clock(name: str) -> None:
    """Time all systems of a set and append a row for each share of quality."""
    dataset = SETS[name].source(unlabelled=False).read()
    found = {keep: facts for keep in KEEPS if (facts := _found(name, keep))}
    places = _places(name, dataset, found)
    tested = _tested(dataset, places, found)
    loads = ("throughput", "throughput_unsorted")
    times = timed_on_test(places, dataset, loads=loads).quantities
    record = Record(RESULTS)
    for keep, facts in found.items():
        record.write("rival", set=name, keep=keep, **_row(name, keep, facts, tested, times))


def _found(name: str, keep: float) -> dict[str, Any]:
    """What was found for a share of quality; empty where it was not searched for."""
    path = RUNS / name / f"found-{keep}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def _places(name: str, dataset: Dataset, found: dict[float, dict[str, Any]]) -> dict[str, Place]:
    """Where every system lies."""
    search = RUNS / name / "search"
    teacher = search / "baselines"
    places: dict[str, Place] = {
        TEACHER: (teacher, "pytorch", "fp32"),
        INT8_TEACHER: (plain_teacher(name, dataset, teacher), "openvino", "int8"),
        OURS: (fast_teacher(name, dataset, teacher), "openvino", "int8"),
        FUSED_TEACHER: (teacher, "onnxruntime", "fp32"),
        SIMPLEST: (search / "simplest", None, None),
    }
    if dataset.task.kind == "classification":
        places[NGRAMS] = (search / "ngrams", None, None)
        for first, second in _PLAIN:
            for keep in found:
                made = _plain_cascade(name, keep, dataset, places, (first, second))
                if made is not None:
                    places[f"{first} → {second}, {keep}"] = (made, None, None)
    for keep in found:
        if (RUNS / name / f"model-{keep}").is_dir():
            places[f"ours {keep}"] = (RUNS / name / f"model-{keep}", None, None)
    return places


def _plain_cascade(
    name: str, keep: float, dataset: Dataset, places: dict[str, Place], parts: tuple[str, str]
) -> Path | None:
    """A cascade by the plain rule: as few texts passed on as keep on dev, by estimate, what is
    asked; None where that is none or all."""
    first_name, second_name = parts
    folder = RUNS / name / f"plain-{first_name}-{keep}".replace(" · ", "-").replace(" ", "-")
    judged = _JUDGED.setdefault(name, {})
    for one in (TEACHER, *parts):
        if one not in judged:
            judged[one] = _judged(dataset, places[one], "dev")

    def judge(outputs: list[Any]) -> Promise:
        ours = judge_outputs(outputs, dataset.dev, dataset.task).statistics
        return judge_promise(dataset.task.scorer(), judged[TEACHER].statistics, ours, keep=keep)

    first, second = judged[first_name].outputs, judged[second_name].outputs
    scores = find_gate("margin").scores(first, dataset.task.kind)
    held = choose_threshold(scores, first, second, judge).holds
    if held is None or held.rate in (0, 1):
        return None
    save_cascade(
        folder,
        places[first_name][0],
        places[second_name][0],
        gate="margin",
        threshold=held.threshold,
        deferred=held.deferred,
        texts=held.texts,
        names=parts,
        overwrite=True,
    )
    return folder


def _judged(dataset: Dataset, place: Place, split: str) -> Judged:
    return judge_system(open_system(*place, threads=1), getattr(dataset, split), dataset.task)


def _tested(
    dataset: Dataset, places: dict[str, Place], found: dict[float, dict[str, Any]]
) -> dict[str, float]:
    """Quality on the test split: what the searches recorded, and that of all by the plain rule."""
    tested: dict[str, float] = {}
    for keep, facts in found.items():
        told = {m["name"]: m["quality"]["test"] for m in facts["models"] if m["quality"]["test"]}
        tested |= {one: told[one] for one in (TEACHER, INT8_TEACHER, SIMPLEST) if one in told}
        tested[f"ours {keep}"] = told[facts["verdict"]["exported"]]
    tested[FUSED_TEACHER] = tested[TEACHER]  # the same numbers
    for one, place in places.items():
        if one.startswith((f"{SIMPLEST} →", NGRAMS)):
            tested[one] = _judged(dataset, place, "test").quality
    return tested


def timed_on_test(
    places: dict[str, Place], dataset: Dataset, *, loads: Sequence[str], rounds: int = ROUNDS
) -> Measured:
    """Systems on the same texts of the test split, in turn, from strings, on one thread."""
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(dataset.test))[:TEXTS].tolist()
    texts = dataset.test.take(drawn)

    def opener(place: Place) -> Callable[..., Any]:
        return lambda threads, rows: Predictor(open_system(*place, threads, rows=rows))

    return measure_systems(
        {one: opener(place) for one, place in places.items()},
        lambda text: len(text.split()),
        texts.texts,
        texts.pairs,
        rounds=rounds,
        threads=1,
        loads=loads,
    )


def _row(
    name: str,
    keep: float,
    facts: dict[str, Any],
    tested: dict[str, float],
    times: dict[str, dict[str, Quantity]],
) -> dict[str, Any]:
    verdict, ours = facts["verdict"], f"ours {keep}"
    promise = verdict.get("promise") or {}
    chosen = verdict["chosen"]
    rate = {one: quantities["throughput"] for one, quantities in times.items()}
    plain = [one for one in tested if one.startswith(NGRAMS)]
    rivals = [one for one in tested if not one.startswith("ours") and one not in plain]
    best, ours_plain = (_fastest(some, keep, tested, rate) for some in (rivals, plain))
    gate = next((one for one in facts["gates"] if one["name"] == chosen), None)
    return {
        "chosen": chosen,
        "kind": _kind(chosen, gate),
        "outcome": verdict["outcome"],
        "dev_kept": promise.get("kept"),
        "dev_lower": promise.get("lower"),
        "test_quality": tested.get(ours),
        "teacher_test": tested[TEACHER],
        "test_kept": tested[ours] / tested[TEACHER] if ours in tested else None,
        "deferral": gate and gate["rate"],
        "ours": rate.get(ours),
        "int8_hf": rate[INT8_TEACHER],
        "int8_ours": rate[OURS],
        "pytorch": times[TEACHER]["throughput_unsorted"],
        "rival": best,
        "plain": ours_plain,
        "bar": SETS[name].bars.get(keep),
        "minutes": facts["minutes"],
        "training_seconds": facts["training_seconds"],
        "machine": environment(),
    }


def _fastest(
    names: Sequence[str], keep: float, tested: dict[str, float], rate: dict[str, Quantity]
) -> dict[str, Any] | None:
    """The fastest that keeps on test what was asked; None where none does."""
    equal = [one for one in names if tested[one] >= keep * tested[TEACHER]]
    if not equal:
        return None
    best = max(equal, key=lambda one: rate[one].value)
    kept = tested[best] / tested[TEACHER]
    return {"name": best, "throughput": rate[best], "test_kept": kept}


def _kind(chosen: str | None, gate: dict[str, Any] | None) -> str:
    if gate is not None:
        return "cascade"
    if chosen == NGRAMS:
        return "n-grams"
    return "teacher" if chosen in (TEACHER, INT8_TEACHER, FUSED_TEACHER) else "student"
