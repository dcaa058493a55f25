from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.text.words import join_words, split_words


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the film was slow, jump", ["the", "film", "was", "slow", ",", "jump"]),
        ("O'Neill isn't well-known.", ["O'Neill", "isn't", "well-known", "."]),
        ("v3.5 -- U.S. snake_case", ["v3.5", "-", "-", "U.S", ".", "snake_case"]),
        ("  'quoted'  ", ["'", "quoted", "'"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("我爱北京, ok", ["我", "爱", "北", "京", ",", "ok"]),
        ("東京タワー", list("東京タワー")),
        ("ภาษาไทย", ["ภ", "า", "ษ", "า", "ไ", "ท", "ย"]),
        ("ที่", ["ที่"]),  # a consonant with its vowel and tone
        ("a中b", ["a", "中", "b"]),
        ("中-文", ["中", "-", "文"]),
        ("👍🏽 ok ❤\ufe0f", ["👍", "🏽", "ok", "❤\ufe0f"]),
        ("co\u00adoperate", ["co\u00adoperate"]),
        ("a\u200bb", ["a", "b"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("\u0301accent first", ["\u0301", "accent", "first"]),
        ("", []),
        (" \u200b\ufeff\x00 ", []),
    ],
)
def test_words_of_many_scripts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(max_size=60))
def test_words_are_pieces_in_order_and_hold_everything_visible(text: str) -> None:
    places = split_words(text)
    assert all(start < end for start, end in places)
    assert all(a[1] <= b[0] for a, b in pairwise(places))
    inside = {place for start, end in places for place in range(start, end)}
    left = "".join(text[place] for place in range(len(text)) if place not in inside)
    assert not any(character.isalnum() for character in left)


@given(st.lists(st.text(alphabet="abcÄ1", min_size=1, max_size=5), max_size=6))
def test_joined_words_are_split_again(given_words: list[str]) -> None:
    text, places = join_words(given_words)
    assert text == " ".join(given_words)
    assert [text[start:end] for start, end in places] == given_words
    assert split_words(text) == places
