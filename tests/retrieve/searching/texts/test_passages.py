import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.retrieve.searching.texts.passages import Cutting

PIECES = st.sampled_from(
    ["word", "A", "long-hyphenated-thing", "end.", "really?", "東", "京。", "\n", "\n\n", "  ", "é",
     "\r\n\r\n", "x" * 120, "e.g.", "(so.)", "\u2028", "🎉"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=60).map(" ".join)


def words(text: str) -> int:
    """What counts as a word, said anew: no character of a run is left out or counted twice."""
    return sum(-(-len(run) // 48) for run in re.sub("([東京])", r" \1 ", text).split())


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.integers(2, 20), st.integers(0, 10))
def test_passages_are_parts_of_the_text_that_leave_nothing_out(
    text: str, size: int, overlap: int
) -> None:
    overlap = min(overlap, size // 2)
    passages = Cutting(size=size, overlap=overlap).cut(text)
    covered = [False] * len(text)
    for one in passages:
        assert one.text == text[one.start : one.end] == one.text.strip()
        assert 0 < words(one.text) <= size
        covered[one.start : one.end] = [True] * (one.end - one.start)
    assert all(covered[at] or text[at].isspace() for at in range(len(text)))
    assert [one.start for one in passages] == sorted({one.start for one in passages})
    for before, after in pairwise(passages):
        assert before.end < after.end
        shared = text[after.start : before.end] if after.start < before.end else ""
        assert words(shared) <= overlap


@settings(deadline=None, max_examples=40)
@given(TEXTS, st.integers(4, 30))
def test_units_of_a_tokenizer_are_counted_as_words_are(text: str, size: int) -> None:
    by_tokens = Cutting(size=size, overlap=0, unit="tokens")
    ones = by_tokens.cut(text, lambda found: [1] * len(found))
    assert ones == Cutting(size=size, overlap=0).cut(text)
    for one in by_tokens.cut(text, lambda found: [len(word) for word in found]):
        letters = sum(not character.isspace() for character in one.text)
        assert letters <= size or " " not in one.text  # a single long word is a passage of its own


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.integers(4, 30), st.integers(0, 15))
def test_no_passage_lies_within_another_whatever_words_cost(
    text: str, size: int, overlap: int
) -> None:
    cutting = Cutting(size=size, overlap=min(overlap, size // 2), unit="tokens")
    passages = cutting.cut(text, lambda found: [len(word) for word in found])
    for before, after in pairwise(passages):
        assert before.start < after.start
        assert before.end < after.end


def test_a_long_word_behind_a_cut_is_not_preceded_by_more_than_fits() -> None:
    cutting = Cutting(size=8, overlap=4, unit="tokens")
    cut = cutting.cut("a b c d e f abcdef g", lambda found: [len(word) for word in found])
    assert [one.text for one in cut] == ["a b c d e f", "e f abcdef", "g"]


def test_a_passage_ends_with_a_paragraph_before_a_sentence_before_a_word() -> None:
    text = "One two three. Four five six.\n\nSeven eight nine ten. Eleven twelve"
    cut = [one.text for one in Cutting(size=8, overlap=2).cut(text)]
    assert cut == ["One two three. Four five six.", "Seven eight nine ten. Eleven twelve"]
    cut = [
        one.text for one in Cutting(size=5, overlap=2).cut("One two three. Four five six. Seven")
    ]
    assert cut == ["One two three.", "Four five six. Seven"]
    cut = [one.text for one in Cutting(size=4, overlap=2).cut("a b c d e f")]
    assert cut == ["a b c d", "c d e f"]


def test_what_stands_at_a_cut_is_in_both_passages() -> None:
    text = "One two three four. Five six. Seven eight nine ten."
    first, second = Cutting(size=6, overlap=3).cut(text)
    assert first.text.endswith("Five six.")
    assert second.text.startswith("Five six.")


@pytest.mark.parametrize(
    "text", ["Dr. Smith went home", "see e.g. Rome", "J. Smith ran off", "3.5 km far"]
)
def test_abbreviations_end_no_sentence(text: str) -> None:
    cut = [one.text for one in Cutting(size=3, overlap=0).cut(text)]
    assert cut[0] == " ".join(text.split()[:3])


@pytest.mark.parametrize("blank", ["", " \n\t ", "\u2003"])
def test_a_blank_text_has_no_passage(blank: str) -> None:
    assert Cutting().cut(blank) == []


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap: 6 is more than half of size, 10"):
        Cutting(size=10, overlap=6)
    with pytest.raises(ValueError, match="unit: 'letters' is not words or tokens"):
        Cutting(unit="letters")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size: 0 is not at least 1"):
        Cutting(size=0)
