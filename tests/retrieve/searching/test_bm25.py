import builtins
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.retrieve.searching.bm25 import Bm25, LaterTexts, best
from leanformer.retrieve.searching.texts.terms import terms

WORDS = st.sampled_from(["oxygen", "iron", "blood", "carries", "lung", "the", "é1"])
TEXT = st.lists(WORDS, max_size=9).map(" ".join)


def naive(texts: list[str], question: str) -> list[float]:
    """Lucene's equation, word for word."""
    split = [terms(text) for text in texts]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for own in split:
        score = 0.0
        for term in terms(question):
            holding = sum(term in other for other in split)
            idf = math.log(1 + (len(split) - holding + 0.5) / (holding + 0.5))
            count = own.count(term)
            norm = 1.5 * (1 - 0.75 + 0.75 * (len(own) / mean if mean else 1))
            score += idf * count / (count + norm)
        scores.append(score)
    return scores


@settings(deadline=None, max_examples=40)
@given(st.lists(TEXT, min_size=1, max_size=8), TEXT)
def test_scores_are_those_of_the_equation(texts: list[str], question: str) -> None:
    np.testing.assert_allclose(
        Bm25.build(texts).scores(question), naive(texts, question), atol=1e-5
    )


@settings(deadline=None, max_examples=40)
@given(st.lists(TEXT, min_size=1, max_size=6), TEXT)
def test_a_text_that_comes_later_scores_as_if_it_stood_in_the_index(
    texts: list[str], question: str
) -> None:
    index = Bm25.build(texts)
    later = LaterTexts.of(texts)
    np.testing.assert_allclose(later.scores(question, index), index.scores(question), atol=1e-5)


def test_rare_words_count_more_and_unknown_ones_not_at_all() -> None:
    index = Bm25.build(["iron iron", "iron oxygen", "iron"])
    assert index.inverse_frequency("oxygen") > index.inverse_frequency("iron")
    assert index.scores("gold").tolist() == [0, 0, 0]
    assert int(np.argmax(index.scores("oxygen"))) == 1


def test_texts_without_any_term_are_an_index_that_finds_nothing() -> None:
    index = Bm25.build(["", "the"])
    assert index.scores("oxygen").tolist() == [0, 0]
    assert LaterTexts.of(["oxygen"]).scores("oxygen", index) > 0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-2, 4), max_size=12), st.integers(1, 15))
def test_the_best_are_those_of_a_sort_with_the_first_of_equal_ones_first(
    scores: list[int], k: int
) -> None:
    expected = sorted((i for i, s in enumerate(scores) if s > 0), key=lambda i: (-scores[i], i))[:k]
    assert best(np.array(scores, np.float32), k).tolist() == expected


def test_without_the_library_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "bm25s":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'leanformer\[retrieve\]'"):
        Bm25.build(["iron"])
