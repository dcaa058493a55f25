"""The words of a text, for tasks that label words.

    "हिन्दी isn't 中文."   →   हिन्दी · isn't · 中 · 文 · .

A word is a run of letters, digits and the marks that combine with them; an apostrophe, a point or a
hyphen between two of these stays inside. In scripts that do not separate words (Chinese, Japanese,
Thai, Lao, Khmer, Burmese) each character is a word, as in tagged data sets of these languages.
Everything else that is visible is a word of one character.

A model reads words joined by single spaces, whether they come from a tagged file or from a text
that was split here, so training and serving give it the same token ids.
"""

import unicodedata
from collections.abc import Sequence

from leanformer.text.scripts import is_unspaced

_INSIDE = frozenset("'’.-")
_JOINERS = frozenset("\u00ad\u200c\u200d\u2060")  # invisible, inside words of many scripts


def split_words(text: str) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each word in characters, in order."""
    found: list[tuple[int, int]] = []
    start, runs = -1, False  # where the last word began, and whether it goes on
    for place, character in enumerate(text):
        if start >= 0 and _combines(character):
            continue
        if character.isspace() or unicodedata.category(character)[0] in "CZ":
            if start >= 0:
                found.append((start, place))
            start, runs = -1, False
            continue
        continues = _in_word(character) or _joins(text, place)
        if start >= 0 and not (runs and continues):
            found.append((start, place))
            start = -1
        if start < 0:
            start, runs = place, continues
    if start >= 0:
        found.append((start, len(text)))
    return found


def join_words(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Words joined by spaces, and the start and end of each in the result."""
    places, end = [], -1
    for word in words:
        start, end = end + 1, end + 1 + len(word)
        places.append((start, end))
    return " ".join(words), places


def first_tokens(
    offsets: Sequence[tuple[int, int]], places: Sequence[tuple[int, int]], shift: int = 0
) -> list[int | None]:
    """The first token of each word, by the characters that both cover; no two words share one.

    Args:
        offsets: Start and end (exclusive) of each token in characters, in order.
        places: The same for each word.
        shift: Number of characters before the words in the tokenized text.
    """
    firsts: list[int | None] = []
    token = 0
    for start, end in places:
        while token < len(offsets) and offsets[token][1] <= start + shift:
            token += 1
        low, high = offsets[token] if token < len(offsets) else (0, 0)
        covers = low < high and low < end + shift
        firsts.append(token if covers else None)
        token += covers
    return firsts


def _combines(character: str) -> bool:
    """Whether it belongs to the character before it: an accent, a vowel sign, a joiner."""
    return not character.isascii() and (
        character in _JOINERS or unicodedata.category(character)[0] == "M"
    )


def _in_word(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character == "_"
    return character.isalnum() and not is_unspaced(character)


def _joins(text: str, place: int) -> bool:
    """Whether an apostrophe, point or hyphen stands between two characters of a word."""
    return (
        text[place] in _INSIDE
        and 0 < place < len(text) - 1
        and (_in_word(text[place - 1]) or _combines(text[place - 1]))
        and _in_word(text[place + 1])
    )
