"""A kind of system that joins as one class: opened, served and raced by its name."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import leanformer
from leanformer.core.storage.files import write_text
from leanformer.runtime import system as module
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.race import race
from leanformer.runtime.system import Cut, Outputs, System, find_system, served


class FirstLetter(System):
    """Answers by the first letter of a text, up to a length."""

    name = "first-letter"

    def __init__(self, letters: str, manifest: Manifest) -> None:
        self.letters, self.manifest, self.max_length, self.pins = letters, manifest, 5, {}

    @classmethod
    def open(
        cls, folder: Path, manifest: Manifest, *, threads: int | None, concurrency: int = 1,
        rows: int | None = None,
    ) -> "FirstLetter":  # fmt: skip
        return cls((folder / "letters.txt").read_text(), manifest)

    def answer(
        self, texts: Sequence[Any], pairs: Sequence[str] | None = None, *, on_cut: Cut | None = None
    ) -> Outputs:
        cut = [place for place, text in enumerate(texts) if self.length(text) > 5]
        if cut and on_cut is not None:
            on_cut(cut)
        rows = [[float(text[0] == letter) for letter in self.letters] for text in texts]
        return [np.array(row, np.float32) for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A served folder of it; the kind is forgotten afterwards."""
    served(FirstLetter)
    write_text(tmp_path / "letters.txt", "ab")
    write_manifest(
        tmp_path,
        Manifest(
            kind="classification", system="first-letter", labels=("A", "B"), backend="python",
            precision="exact",
        ),
    )  # fmt: skip
    yield tmp_path
    del module._REGISTRY._known["first-letter"]


def test_one_class_is_enough_to_be_served(folder: Path) -> None:
    predictor = leanformer.load(folder)
    assert isinstance(predictor.system, FirstLetter)
    assert [one.label for one in predictor.predict(["a fox", "b is here"])] == ["A", "B"]
    assert predictor.manifest.backend == "python"


def test_what_is_cut_is_told_or_refused(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictor = leanformer.load(folder)
    long = "a fox is not a dog"
    assert predictor.predict(["b", long])[1].label == "A"
    assert "1 of 2 texts cut to 5 tokens (said once)" in caplog.text
    with pytest.raises(ValueError, match=r"texts\[1\] is longer than the 5 tokens"):
        predictor.predict(["b", long], truncate=False)
    found = predictor.predict([long, "b"], truncate=False, errors="return")
    assert found[0].error.startswith("texts[0] is longer")
    assert found[1].label == "B"


def test_it_wins_its_own_race(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = race(folder, ["a fox", "b"], rounds=1)
    assert (row.backend, row.chosen) == ("python", True)


def test_a_kind_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"system 'ngram' is not one of .*ngrams, .*did you mean"):
        find_system("ngram")


def test_another_form_than_the_one_that_is_there_is_refused(folder: Path) -> None:
    with pytest.raises(
        ValueError, match=r"leanformer.json: holds no openvino exact model; it has py"
    ):
        leanformer.load(folder, "openvino")
    assert FirstLetter.try_out(FirstLetter("ab", replace(Manifest(kind="classification")))) == 0.0
