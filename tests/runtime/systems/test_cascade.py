"""A cascade is served like any other system, and each answer is that of the part that gave it."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime.systems.cascades import LABELS, NAMES, TEXTS, cascade, halfway, ngrams, transformer

import leanformer
from leanformer.measure.size import served_size
from leanformer.runtime.gates import Margin, shifted
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.race import race
from leanformer.runtime.serving.answers import Sourced, Unanswered
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.systems.cascade import Cascade


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return ngrams(folder / "cheap"), transformer(folder / "dear")


@pytest.fixture(scope="module")
def folder(parts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cascade(tmp_path_factory.mktemp("cascade") / "x", *parts)


def expected(first: Any, second: Any, texts: list[Any], threshold: float, kind: str) -> Any:
    """Text by text: what the parts say alone, and whose answer counts."""
    rows, sources = [], []
    for text in texts:
        row = first.system.answer([text])[0]
        sure = Margin().scores([row], kind)[0] >= threshold
        rows.append(row if sure else second.system.answer([text])[0])
        sources.append(NAMES[not sure])
    return rows, sources


@pytest.mark.parametrize("kind", ["classification", "multi-label", "tokens"])
def test_each_text_gets_the_answer_of_the_part_that_is_asked(kind: str, tmp_path: Path) -> None:
    first, second = ngrams(tmp_path / "a", kind), transformer(tmp_path / "b", kind)
    threshold = {"classification": 0.3, "multi-label": 0.2, "tokens": 0.2}[kind]
    made = leanformer.load(cascade(tmp_path / "c", first, second, threshold))
    assert isinstance(made.system, Cascade)
    texts: list[Any] = [text.split() for text in TEXTS] if kind == "tokens" else TEXTS
    rows, sources = made.system.answer_with_sources(texts)
    theirs = expected(leanformer.load(first), leanformer.load(second), texts, threshold, kind)
    assert 3 < sources.count("teacher") < len(texts) - 3
    assert sources == theirs[1]
    for ours, right in zip(rows, theirs[0], strict=True):
        np.testing.assert_allclose(ours, right, atol=1e-5)
    for ours, again in zip(rows, made.system.answer(texts), strict=True):
        np.testing.assert_array_equal(ours, again)
    told = made.predict(TEXTS, sources=True)
    assert all(isinstance(one, Sourced) for one in told)
    assert [one.source for one in told] == made.sources(TEXTS) == sources
    assert [one.answer for one in told] == made.predict(TEXTS)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(st.lists(st.sampled_from(TEXTS), max_size=6))
def test_a_text_is_answered_by_the_same_part_whatever_stands_beside_it(
    folder: Path, texts: list[str]
) -> None:
    predictor = leanformer.load(folder, threads=1)
    rows, sources = predictor.system.answer_with_sources(texts)
    assert len(rows) == len(texts)
    for text, row, source in zip(texts, rows, sources, strict=True):
        (alone,), (by,) = predictor.system.answer_with_sources([text])
        assert by == source
        np.testing.assert_allclose(row, alone, atol=1e-5)
        if source == "n-grams":
            np.testing.assert_array_equal(row, alone)


def test_the_second_system_is_asked_once_and_only_for_what_is_passed_on(folder: Path) -> None:
    system: Any = open_system(folder)
    asked: list[Any] = []
    answer = system.second.answer
    system.second.answer = lambda texts, pairs=None, **named: (
        asked.append(list(texts)) or answer(texts, pairs, **named)
    )
    _, sources = system.answer_with_sources(TEXTS)
    assert asked == [[text for text, by in zip(TEXTS, sources, strict=True) if by == "teacher"]]
    sure = [text for text, by in zip(TEXTS, sources, strict=True) if by != "teacher"]
    assert len(system.answer(sure)) == len(sure)
    assert len(asked) == 1
    assert system.answer([]) == []


def test_each_part_answers_by_its_own_thresholds(tmp_path: Path) -> None:
    first, second = (
        ngrams(tmp_path / "a", "multi-label"),
        transformer(tmp_path / "b", "multi-label"),
    )
    for place, bars in ((first, (0.3, 0.4, 0.6)), (second, (0.45, 0.5, 0.55))):
        write_manifest(place, replace(read_manifest(place), thresholds=bars))
    cheap, dear = leanformer.load(first), leanformer.load(second)
    made = leanformer.load(cascade(tmp_path / "c", first, second, 0.1))
    answers = made.predict(TEXTS, sources=True)
    assert {one.source for one in answers} == set(NAMES)
    for one, by_cheap, by_dear in zip(
        answers, cheap.predict(TEXTS), dear.predict(TEXTS), strict=True
    ):
        right = by_cheap if one.source == "n-grams" else by_dear
        assert {label.label for label in one.answer} == {label.label for label in right}
    rows = shifted(cheap.answer(TEXTS), (0.3, 0.4, 0.6), (0.45, 0.5, 0.55))
    scores = Margin().scores(rows, "multi-label", (0.45, 0.5, 0.55))
    np.testing.assert_allclose(
        scores, Margin().scores(cheap.answer(TEXTS), "multi-label", (0.3, 0.4, 0.6)), atol=1e-6
    )
    assert [one.source == "teacher" for one in answers] == (scores < 0.1).tolist()


def test_pairs_go_with_their_texts(tmp_path: Path) -> None:
    first, second = ngrams(tmp_path / "a", pairs=True), transformer(tmp_path / "b", pairs=True)
    made = leanformer.load(cascade(tmp_path / "c", first, second))
    texts, pairs = TEXTS, TEXTS[::-1]
    told = made.predict(texts, pairs, sources=True)
    assert {one.source for one in told} == set(NAMES)
    for text, pair, one in zip(texts, pairs, told, strict=True):
        (alone,) = made.predict([text], [pair], sources=True)
        assert (alone.source, alone.answer.label) == (one.source, one.answer.label)
        assert alone.answer.score == pytest.approx(one.answer.score, abs=1e-5)


def test_a_cascade_of_a_cascade_names_the_innermost_part(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    cheap, dear = parts
    student = transformer(tmp_path / "student")
    inner = cascade(
        tmp_path / "inner", student, dear, halfway(student), names=("student", "teacher")
    )
    outer = cascade(tmp_path / "outer", cheap, inner, 0.3, names=("n-grams", "rest"))
    made = leanformer.load(outer, threads=1)
    assert made.system.sources == ("n-grams", "student", "teacher")
    behind = leanformer.load(inner, threads=1)
    for text, one in zip(TEXTS, made.predict(TEXTS, sources=True), strict=True):
        if one.source != "n-grams":
            assert one.source == behind.sources([text])[0]
    assert set(made.sources(TEXTS)) == {"n-grams", "student", "teacher"}
    before = cascade(tmp_path / "before", inner, dear, 0.01, names=("x", "whole"))
    assert leanformer.load(before).system.sources == ("student", "teacher", "whole")


def test_other_systems_name_their_kind(parts: tuple[Path, Path]) -> None:
    for folder, kind in zip(parts, ("ngrams", "transformer"), strict=True):
        predictor = leanformer.load(folder)
        assert predictor.system.sources == ()
        assert predictor.sources(TEXTS[:2]) == [kind, kind]
        assert predictor.predict(TEXTS[:1], sources=True)[0].source == kind


LONG = "zz qq " * 60


def test_a_text_too_long_for_the_second_is_refused_only_where_it_is_asked(folder: Path) -> None:
    predictor = leanformer.load(folder)
    assert predictor.system.max_length == 32  # the n-grams read all
    sure, unsure = "dog fox " * 40, LONG
    assert predictor.sources([sure, unsure]) == ["n-grams", "teacher"]
    assert predictor.predict([sure], truncate=False)[0].label == "pet"
    with pytest.raises(ValueError, match=r"texts\[2\] is longer than the 32 tokens"):
        predictor.predict([sure, "dog", unsure], truncate=False)
    found = predictor.predict(
        [unsure, sure, "dog fox"], truncate=False, errors="return", sources=True
    )
    assert isinstance(found[0], Unanswered)
    assert [one.answer.label for one in found[1:]] == ["pet", "pet"]


def test_what_both_parts_cut_is_told_in_the_callers_order(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    short = transformer(tmp_path / "short")
    made = leanformer.load(cascade(tmp_path / "c", short, parts[1], 2.0))  # passes on all
    told: list[list[int]] = []
    made.system.answer([TEXTS[0], LONG, TEXTS[1], LONG], on_cut=told.append)
    assert told == [[1, 3], [1, 3]]
    some = made.predict([LONG, TEXTS[0]], truncate=False, errors="return")
    assert isinstance(some[0], Unanswered)


def test_lengths_are_those_of_the_second_and_each_part_tells_what_it_cuts(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    short = transformer(tmp_path / "short")
    made = leanformer.load(cascade(tmp_path / "c", short, parts[1], 0.5))
    second, told = leanformer.load(parts[1]), list[list[int]]()
    assert made.lengths([TEXTS[0], LONG]) == second.lengths([TEXTS[0], LONG])
    prepared = made.system.prepare([TEXTS[0], LONG], on_cut=told.append)
    assert told == [[1], [1]]
    assert made.answer_prepared([TEXTS[0], LONG], prepared) == made.predict([TEXTS[0], LONG])


def test_parts_that_refuse_one_after_the_other_leave_the_rest_answered(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    """The first cuts at 48 tokens, the second at 32: the texts in between are refused in turn."""
    wide = transformer(tmp_path / "wide", max_length=48)
    made = leanformer.load(cascade(tmp_path / "c", wide, parts[1], 2.0))
    middle = "the lazy cat jumps " * 7
    assert 32 < leanformer.load(wide).system.length(middle) <= 48
    found = made.predict([LONG, middle, "dog"], truncate=False, errors="return")
    assert [isinstance(one, Unanswered) for one in found] == [True, True, False]


def test_it_is_raced_measured_and_pickled_like_any_other(folder: Path) -> None:
    predictor = leanformer.load(folder, threads=1)
    about = predictor.manifest
    assert (about.system, about.backend, about.precision) == ("cascade", "cascade", "fp32")
    assert about.labels == LABELS
    answers = predictor.predict(TEXTS, sources=True)
    assert pickle.loads(pickle.dumps(predictor)).predict(TEXTS, sources=True) == answers
    copied = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert served_size(folder).value == sum((folder / path).stat().st_size for path in copied)
    assert predictor.system.try_out() < 1e-3
    assert set(predictor.system.pins) == {"first", "second"}
    assert predictor.system.length("dog fox") == leanformer.load(folder / "second").system.length(
        "dog fox"
    )


def test_it_wins_its_own_race(parts: tuple[Path, Path], tmp_path: Path) -> None:
    made = cascade(tmp_path / "c", *parts)
    (row,) = race(made, TEXTS, rounds=1, threads=1)
    assert (row.backend, row.precision, row.chosen, row.agreement) == ("cascade", "fp32", True, 1.0)
    assert leanformer.load(made).sources(TEXTS[:1])


def test_it_depends_on_the_batch_as_its_parts_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(folder)
    assert not Cascade.depends_on_batch(folder, manifest)
    asked: list[Path] = []
    monkeypatch.setattr(
        "leanformer.runtime.systems.transformer.Transformer.depends_on_batch",
        classmethod(lambda cls, part, own: asked.append(part) or True),
    )
    assert Cascade.depends_on_batch(folder, manifest)
    assert asked == [folder / "second"]


def test_parts_are_served_by_themselves(folder: Path, parts: tuple[Path, Path]) -> None:
    for name, part in zip(("first", "second"), parts, strict=True):
        ours, theirs = leanformer.load(folder / name), leanformer.load(part)
        assert ours.predict(TEXTS) == theirs.predict(TEXTS)


def test_only_its_own_form_is_opened(folder: Path) -> None:
    assert leanformer.load(folder, "cascade", precision="fp32").predict(["dog"])
    with pytest.raises(
        ValueError, match=r"json: holds no openvino model: a cascade opens each part as it was"
    ):
        leanformer.load(folder, "openvino")
    with pytest.raises(ValueError, match=r"holds no int8 model: .* is called cascade fp32; leave"):
        leanformer.load(folder, precision="int8")


def test_eight_threads_get_the_answers_to_their_own_texts(folder: Path) -> None:
    predictor = leanformer.load(folder, threads=1)
    right = {text: predictor.predict([text], sources=True)[0] for text in TEXTS}
    requests = [TEXTS[start % 37 : start % 37 + 3] for start in range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda texts: predictor.predict(texts, sources=True), requests))
    for texts, answers in zip(requests, found, strict=True):
        for text, one in zip(texts, answers, strict=True):
            assert (one.source, one.answer.label) == (right[text].source, right[text].answer.label)
            assert one.answer.score == pytest.approx(right[text].answer.score, abs=1e-5)


def test_a_forked_process_answers(folder: Path) -> None:
    predictor = leanformer.load(folder, threads=1)
    right = predictor.sources(TEXTS)
    child = os.fork()
    if child == 0:
        os._exit(0 if predictor.sources(TEXTS) == right else 3)
    assert os.waitpid(child, 0)[1] == 0


def test_a_fresh_process_serves_parts_without_torch_without_it(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    other = ngrams(tmp_path / "other")
    made = cascade(tmp_path / "c", parts[0], other)
    code = (
        "import sys, leanformer; "
        f"print({{one.source for one in leanformer.load({str(made)!r}).predict({TEXTS!r}, "
        "sources=True)} == {'n-grams', 'teacher'}, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
