"""The main job where the head decides: several labels per text, and texts in order by query.

Both begin with a bare encoder, so that the teacher is trained; what is exported answers in a fresh
process as it was tested.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search.whole import Search
from sklearn.metrics import f1_score, ndcg_score

from leanformer.runtime.manifest import read_manifest
from leanformer.search.entry import SIMPLEST, TEACHER

pytest.importorskip("openvino", reason="students are judged as OpenVINO graphs")
pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short")]


def answers_of(folder: Path, rows: list[dict[str, Any]], place: Path, *options: str) -> Any:
    """What `leanformer predict` writes in a process of its own."""
    (place / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["predict", str(folder), "--in", str(place / "rows.jsonl"), "--threads", "1", *options]
    code = "from leanformer.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *words],
        check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    return [json.loads(line) for line in run.stdout.splitlines()]


def on_test(done: Search, name: str) -> float:
    """The recorded quality of a system on the test split."""
    return float(
        next(
            event["quality"]["test"]
            for event in done.events("model")
            if event["name"] == name and event["quality"]["test"] is not None
        )
    )


def served(done: Search) -> dict[str, Path]:
    """The folders that a user may serve, by the name that the record tests them under."""
    exported = done.events("verdict")[0]["exported"]
    return {exported: done.out / "model", SIMPLEST: done.out / "simplest"}


def test_label_sets_are_served_by_the_thresholds_of_dev(
    search: Callable[[str], Search], tmp_path: Path
) -> None:
    done = search("multi-label")
    dataset = done.dataset
    names = dataset.task.labels
    gold = np.array(dataset.test.labels)
    rows = [{"text": text} for text in dataset.test.texts]
    for name, folder in served(done).items():
        manifest = read_manifest(folder)
        assert manifest.labels == names
        assert len(manifest.thresholds) == len(names)
        answers = answers_of(folder, rows, tmp_path)
        found = np.array(
            [[label in {one["label"] for one in a["labels"]} for label in names] for a in answers]
        )
        micro = f1_score(gold, found, average="micro")
        assert micro == pytest.approx(on_test(done, name), abs=1e-6), name
    assert on_test(done, TEACHER) > 0.9  # it was trained from a bare encoder


def test_texts_are_put_in_order_by_query(search: Callable[[str], Search], tmp_path: Path) -> None:
    done = search("ranking")
    test = done.dataset.test
    assert test.pairs is not None
    assert test.groups is not None
    rows = [{"text": a, "pair": b} for a, b in zip(test.texts, test.pairs, strict=True)]
    places: dict[str, list[int]] = {}
    for place, query in enumerate(test.groups):
        places.setdefault(query, []).append(place)
    assert read_manifest(done.out / "model").pairs
    answers = answers_of(done.out / "model", rows, tmp_path, "--pair", "pair")
    scores = np.array([answer["score"] for answer in answers])
    assert ((scores > 0) & (scores < 1)).all()
    grades: Any = np.array(test.labels)
    each = [
        ndcg_score(grades[None, own], scores[None, own], k=10)
        for own in places.values()
        if grades[own].any()
    ]
    (verdict,) = done.events("verdict")
    assert np.mean(each) == pytest.approx(on_test(done, verdict["exported"]), abs=1e-6)
    assert verdict["promise"]["unit"] == "query"
    assert on_test(done, TEACHER) > 0.9
