"""What every kind of system must do where users meet it: threads, processes, files, words."""

import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import leanformer
from leanformer.measure.peak_memory import peak_memory
from leanformer.measure.size import served_size
from leanformer.runtime.race import race

TEXTS = ["dog fox", "dog cat", "card money", "card back", "film slow", "Film quiet 我爱"]
LABELS = ("pet", "bank", "never", "film")


def check_threads(folder: Path) -> None:
    """Eight threads get the answers to their own texts."""
    predictor = leanformer.load(folder)
    expected = {text: predictor.predict([text])[0] for text in TEXTS}
    requests = [TEXTS[start % 6 :] for start in range(400)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(predictor.predict, requests))
    assert found == [[expected[text] for text in texts] for texts in requests]


def check_processes(folder: Path) -> None:
    """A forked and a new process answer as this one does."""
    predictor = leanformer.load(folder)
    expected = predictor.predict(TEXTS)
    child = os.fork()
    if child == 0:
        os._exit(0 if predictor.predict(TEXTS) == expected else 3)
    assert os.waitpid(child, 0)[1] == 0
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(predictor.predict, (TEXTS,)) == expected


def check_served(folder: Path, backend: str, precision: str) -> Any:
    """It is raced, asked, pickled and measured; returns its predictor."""
    (row,) = race(folder, TEXTS, rounds=1)
    assert (row.backend, row.precision, row.chosen, row.agreement) == (backend, precision, True, 1)
    predictor = leanformer.load(folder)
    answers = predictor.predict(TEXTS)
    assert [answer.label for answer in answers] == ["pet", "pet", "bank", "bank", "film", "film"]
    assert all(0 < answer.score <= 1 for answer in answers)
    assert predictor.predict(["", TEXTS[0]], errors="return")[1] == answers[0]
    assert pickle.loads(pickle.dumps(predictor)).predict(TEXTS) == answers
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert served_size(folder).value == size
    assert peak_memory(folder, TEXTS).value > 2**20
    has = f"holds no openvino {precision} model; it has {backend} {precision}"
    with pytest.raises(ValueError, match=has):
        leanformer.load(folder, "openvino")
    return predictor


def check_tags(folder: Path) -> None:
    """A tagger of "B-X" at the last word gives spans, and tags of words."""
    tagger = leanformer.load(folder)
    (spans,) = tagger.predict(["dog fox"])
    assert [(span.text, span.label) for span in spans] == [("fox", "X")]
    assert tagger.label_words([["dog", "fox"], []]) == [["O", "B-X"], []]
