"""The compiled kernel gives the integers that numpy gives, and numpy those of the definition."""

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.runtime.hashed_ngrams import kernel, reference
from leanformer.runtime.hashed_ngrams.build import compiler, library
from leanformer.runtime.hashed_ngrams.kernel import ROW_BITS, TF, Table
from leanformer.runtime.hashed_ngrams.reading import Read, read_texts, read_words

needs_kernel = pytest.mark.skipif(
    not library().is_file(),
    reason="the kernel is not built: "
    + ("python -m leanformer.runtime.hashed_ngrams.build" if compiler() else "no C compiler"),
)
# few characters, so that n-grams repeat; spaces, marks, pieces of emoji, a lone surrogate
FEW = st.text(st.sampled_from([*"aab. \n-", "é", "我", "😀", "\u3000", "\ud800", "İ", "Σ"]))
TEXT = FEW | st.text(st.characters(), max_size=60)
BITS = 10


@cache
def table(width: int = 32) -> Table:
    """A table in which nine of ten buckets are known, and the largest weights there can be."""
    rng = np.random.default_rng(0)
    entries = np.arange(2**BITS, dtype=np.uint32) | (
        rng.integers(1, 1024, 2**BITS).astype(np.uint32) << np.uint32(ROW_BITS)
    )
    entries[rng.random(2**BITS) < 0.1] = 0
    return Table(entries, rng.integers(-127, 128, (2**BITS, width)).astype(np.int8))


def by_reference(read: Read, of: Table) -> tuple[Any, ...]:
    counted = reference.count(read.texts, read.pairs, read.classes, shares=read.shares)
    sums, norms = reference.score(counted, of.entries, of.rows, TF, ROW_BITS)
    return *counted, sums, norms, counted.levels


def by_kernel(read: Read, of: Table) -> tuple[Any, ...]:
    scores = kernel.score(read, of)
    return *kernel.count(read), scores.sums, scores.norms, scores.levels


def check_equal(read: Read, of: Table | None = None) -> None:
    of = of or table()
    for ours, theirs in zip(by_kernel(read, of), by_reference(read, of), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


@needs_kernel
@settings(deadline=None, max_examples=40)
@given(texts=st.lists(TEXT, max_size=5))
def test_kernel_and_numpy_agree_on_texts(texts: list[str]) -> None:
    check_equal(read_texts(texts))


@needs_kernel
@settings(deadline=None, max_examples=30)
@given(both=st.lists(st.tuples(TEXT, TEXT), max_size=4))
def test_kernel_and_numpy_agree_on_pairs(both: list[tuple[str, str]]) -> None:
    check_equal(read_texts([first for first, _ in both], [second for _, second in both]))


@needs_kernel
@settings(deadline=None, max_examples=20)
@given(sentences=st.lists(st.lists(TEXT, max_size=4), max_size=3))
def test_kernel_and_numpy_agree_on_words(sentences: list[list[str]]) -> None:
    check_equal(read_words(sentences))


@needs_kernel
def test_kernel_and_numpy_agree_on_long_texts_and_any_width() -> None:
    rng = np.random.default_rng(1)
    letters = np.array([*"abcdefghijklmnopqrstuvwxyz     "])
    long = ["".join(letters[rng.integers(0, 31, size)]) for size in (70_000, 3)]
    read = read_texts([*long, "a " * 5000, "", "x" * 9999])
    assert (np.diff(kernel.count(read).ends, prepend=0) <= reference.LIMIT).all()
    assert np.diff(kernel.count(read).ends, prepend=0)[0] == reference.LIMIT
    for width in (16, 80):
        check_equal(read, table(width))
    check_equal(read_texts(long, long[::-1]))


@needs_kernel
def test_eight_threads_compute_as_one() -> None:
    texts = [f"card {n % 7} money {n}" for n in range(300)]
    expected = kernel.score(read_texts(texts), table())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: kernel.score(read_texts(texts), table()), range(40)))
    for one in found:
        np.testing.assert_array_equal(one.sums, expected.sums)
        np.testing.assert_array_equal(one.norms, expected.norms)


def test_sums_cannot_overflow() -> None:
    most = int(TF.max()) * 127
    assert most < 2**15
    assert (2 * reference.LIMIT * int(TF.max()) + reference.LIMIT * int(TF[1])) * 127 < 2**31


def slow_keys(text: str) -> Counter[int]:
    """The definition once more, in plain Python."""

    def mix(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    def h(gram: Sequence[str]) -> int:
        found = 0
        for character in gram:
            found = (found * 0x9E3779B97F4A7C15 + ord(character)) % 2**64
        return found

    grams = words_and_characters(text)
    keys = Counter[int]()
    for gram, times in grams.items():
        if isinstance(gram, tuple):
            first, second = h(gram[0]), h(gram[1])
            both = first * 0xC2B2AE3D27D4EB4F + second + 0x27D4EB2F165667C5
            keys[mix(both % 2**64) & ~1] += times
        elif gram.startswith("word:"):
            keys[mix((h(gram[5:]) + 0x165667B19E3779F9) % 2**64) & ~1] += times
        else:
            seed = len(gram) * 0x85EBCA77C2B2AE63
            keys[mix((h(gram) + seed) % 2**64) | 1] += times
    return keys


def words_and_characters(text: str) -> Counter[Any]:
    """The n-grams of a lower-cased ASCII text, by scikit-learn's analyzers."""
    from sklearn.feature_extraction.text import CountVectorizer

    single = CountVectorizer(token_pattern=r"(?u)\b\w+\b").build_tokenizer()(text.lower())
    characters = CountVectorizer(analyzer="char_wb", ngram_range=(3, 5)).build_analyzer()(text)
    pairs = list(pairwise(single))
    return Counter([*(f"word:{word}" for word in single), *pairs, *characters])


@settings(deadline=None, max_examples=30)
@given(text=st.text(st.characters(max_codepoint=127)) | st.text("ab .,-_\n", max_size=30))
def test_n_grams_are_those_of_scikit_learn(text: str) -> None:
    read = read_texts([text])
    counted = reference.count(read.texts, None, read.classes, shares=False)
    found = dict(zip(counted.keys.tolist(), counted.counts.tolist(), strict=True))
    assert found == slow_keys(text)


def test_the_overlap_of_a_pair_is_a_rounded_share() -> None:
    read = read_texts(["one two", "a", "", "same text"], ["one three", "b", "", "same text"])
    counted = kernel.count(read)
    # words: {one, two, one two} and {one, three, one three} share one of five
    assert counted.levels[0, 0] == 16 * 1 // 5
    assert counted.levels[1].tolist() == [0, 0]
    assert counted.levels[2].tolist() == [0, 0]
    assert counted.levels[3].tolist() == [16, 16]


def test_numpy_answers_where_there_is_no_kernel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    read = read_texts(["where is my card"])
    monkeypatch.setattr(kernel, "library", lambda: tmp_path / "none.so")
    kernel._library.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert kernel.kernel_name() == "numpy"
            found = by_kernel(read, table())
        assert caplog.text.count("some fifty times slower") == 1
        assert "python -m leanformer.runtime.hashed_ngrams.build" in caplog.text
        for ours, theirs in zip(found, by_reference(read, table()), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    finally:
        kernel._library.cache_clear()


def test_a_library_that_cannot_be_loaded_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "broken.so").write_bytes(b"no library")
    monkeypatch.setattr(kernel, "library", lambda: tmp_path / "broken.so")
    kernel._library.cache_clear()
    assert kernel.kernel_name() == "numpy"
    kernel._library.cache_clear()


def test_no_memory_is_said() -> None:
    with pytest.raises(MemoryError, match="no memory for the n-grams of these texts"):
        kernel._check(-2)
