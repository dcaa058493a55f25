"""The phrases found are those of counting every candidate anew after each choice."""

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanformer.models.cutting.phrases import find_phrases
from leanformer.models.tiny_tokenizers import tiny_tokenizer

WORDS = ("the", "fox", "dog", "mat", "rice", "topup", "x")  # mat and topup have several pieces
SENTENCE = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join)


def naive(
    tokenizer: Any, texts: list[str], number: int, max_words: int, min_count: int
) -> list[tuple[str, int]]:
    """Phrases and what each saved when it was chosen, by counting all of them each time."""
    runs = [
        [([word], len(tokenizer.tokenize(word))) for word in run.split()]
        for text in texts
        for run in re.split(r"[.,] ?", text)
    ]
    chosen: list[tuple[str, int]] = []
    while len(chosen) < number:
        saved: Counter[str] = Counter()
        used: Counter[str] = Counter()
        for run in runs:
            ends: dict[str, int] = {}
            for start in range(len(run)):
                for end in range(start + 1, len(run) + 1):
                    words = [word for unit, _ in run[start:end] for word in unit]
                    phrase = " ".join(words)
                    if len(words) <= max_words and ends.get(phrase, 0) <= start:
                        ends[phrase] = end
                        saved[phrase] += sum(count for _, count in run[start:end]) - 1
                        used[phrase] += 1
        fit = {p: s for p, s in saved.items() if s > 0 and used[p] >= min_count}
        if not fit:
            break
        best = max(fit.values())
        phrase = next(p for p in fit if fit[p] == best)
        chosen.append((phrase, best))
        runs = [_joined(run, phrase) for run in runs]
    return chosen


def _joined(run: list[Any], phrase: str) -> list[Any]:
    made, start = [], 0
    while start < len(run):
        for end in range(start + 1, len(run) + 1):
            words = [word for unit, _ in run[start:end] for word in unit]
            if " ".join(words) == phrase:
                made.append((words, 1))
                start = end
                break
        else:
            made.append(run[start])
            start += 1
    return made


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(SENTENCE, min_size=1, max_size=6), max_words=st.integers(1, 4))
def test_the_first_choices_save_as_much_as_by_naive_counting(
    texts: list[str], max_words: int
) -> None:
    tokenizer = tiny_tokenizer("bert")
    expected = naive(tokenizer, texts, 1, max_words, 2)
    found = find_phrases(tokenizer, texts, 1, max_words=max_words, min_count=2)
    assert len(found) == len(expected)
    if found:
        savings = dict(naive_savings(tokenizer, texts, max_words))
        assert savings[found[0]] == expected[0][1]


def naive_savings(tokenizer: Any, texts: list[str], max_words: int) -> list[tuple[str, int]]:
    """What each phrase would save if it were the only one, at leftmost uses."""
    phrases = {
        " ".join(text.split()[start:end])
        for text in texts
        for start in range(len(text.split()))
        for end in range(start + 1, min(len(text.split()), start + max_words) + 1)
    }
    found = []
    for phrase in phrases:
        uses = sum(len(re.findall(rf"(?<!\S){phrase}(?!\S)", text)) for text in texts)
        found.append((phrase, uses * (len(tokenizer.tokenize(phrase)) - 1)))
    return found


def test_a_chosen_phrase_is_one_token_when_the_next_is_counted() -> None:
    tokenizer = tiny_tokenizer("bert")
    texts = ["the quick brown fox"] * 5 + ["the quick brown dog"] * 4 + ["quick brown rice"] * 3
    # 9 x 2 tokens; then "the quick brown fox" saves one more per use, not three
    assert find_phrases(tokenizer, texts, 1, min_count=3) == ["the quick brown"]
    assert find_phrases(tokenizer, texts, 3, min_count=3) == naive_names(tokenizer, texts, 3, 3)


def naive_names(tokenizer: Any, texts: list[str], number: int, min_count: int) -> list[str]:
    return [phrase for phrase, _ in naive(tokenizer, texts, number, 4, min_count)]


def test_a_phrase_that_longer_ones_leave_without_uses_gives_its_room_to_another() -> None:
    tokenizer = tiny_tokenizer("bert")
    texts = ["my card was", "my card is"] * 3 + ["the fox"] * 2
    # "my card" saves most at first; both longer ones then take all of its uses
    found = find_phrases(tokenizer, texts, 3, min_count=2)
    assert found == ["my card was", "my card is", "the fox"]


def test_phrases_end_at_punctuation_and_at_what_the_tokenizer_cannot_read() -> None:
    tokenizer = tiny_tokenizer("bert")
    texts = ["the dog. my card, the fox  slow ж card"] * 3
    found = find_phrases(tokenizer, texts, 20, min_count=2)
    assert set(found) <= {"the dog", "my card", "the fox", "ж card", "slow"}
    assert "my card" in found
    assert not any("ж" in phrase for phrase in found)


def test_words_are_normalized_and_keep_apostrophes_and_hyphens() -> None:
    tokenizer = tiny_tokenizer("bert")
    texts = ["Don't TOP-UP", "don't top-up", "Dön't TOP-up"]
    assert find_phrases(tokenizer, texts, 9, max_words=1, min_count=3) == ["top-up", "don't"]
    assert find_phrases(tokenizer, texts, 9, min_count=3)[0] == "don't top-up"


def test_one_word_phrases_are_words_of_several_pieces() -> None:
    tokenizer = tiny_tokenizer("bert")
    texts = ["the topup was slow", "the topup was fox"]
    assert find_phrases(tokenizer, texts, 9, max_words=1, min_count=2) == ["topup"]


@pytest.mark.parametrize("texts", [[], [""], ["..."], ["fox"]])
def test_there_may_be_none(texts: list[str]) -> None:
    assert find_phrases(tiny_tokenizer("bert"), texts, 9, min_count=1) == []


def test_case_counts_where_nothing_is_normalized() -> None:
    tokenizer = tiny_tokenizer("roberta")
    texts = ["My card, my card, My card"]
    assert find_phrases(tokenizer, texts, 9, min_count=2) == ["My card"]


def test_a_word_keeps_the_marks_of_its_script() -> None:
    tokenizer = tiny_tokenizer("roberta")
    texts = ["\u0939\u093f\u0928\u094d\u0926\u0940 rice"] * 3
    assert find_phrases(tokenizer, texts, 9, max_words=1, min_count=3)[0] == texts[0].split()[0]
