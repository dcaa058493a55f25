"""Checks of the texts that a caller gives: all are read, or one is refused by its index."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from leanformer.core.shown import shown

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class TextError(ValueError):
    """An item of a list of texts that cannot be read.

    Attributes:
        name: Name of the argument, e.g. "texts".
        index: Its index in the list.
        reason: What is wrong with it, without name and index.
    """

    def __init__(self, name: str, index: int, reason: str) -> None:
        self.name, self.index, self.reason = name, index, reason
        super().__init__(f"{name}[{index}] {reason}")

    def __reduce__(self) -> Any:
        return TextError, (self.name, self.index, self.reason)


def check_texts(texts: Iterable[str], name: str = "texts") -> list[str]:
    """All of `texts` as a list; a generator is read to its end.

    Half of a character (a lone surrogate, as in tweets cut in the middle of an emoji) becomes
    U+FFFD, which is also one character, so offsets stay valid.

    Raises:
        TextError: An item is not a string or is empty; the message names its index.
        ValueError: `texts` is a single string, or not an ordered collection of texts.
    """
    items = listed(texts, name)
    for index, text in enumerate(items):
        if reason := refusal(text):
            raise TextError(name, index, reason)
    return [repair(text) for text in items]


def check_pairs(
    texts: Iterable[str], pairs: Iterable[str] | None
) -> tuple[list[str], list[str] | None]:
    """Texts and their second texts, as lists.

    Raises:
        ValueError: As `check_texts`, or there are not as many pairs as texts.
    """
    first = check_texts(texts)
    second = _as_many(pairs, first)
    return first, None if second is None else check_texts(second, "pairs")


def sort_out(
    texts: Iterable[Any], pairs: Iterable[Any] | None
) -> tuple[list[str], list[str] | None, list[str]]:
    """The texts and pairs that can be read, and for every text the reason why not, or "".

    Raises:
        ValueError: They are not lists, or differ in number.
    """
    first = listed(texts)
    second = _as_many(pairs, first)
    reasons = [_place("texts", index, text) for index, text in enumerate(first)]
    for index, pair in enumerate(second or ()):
        reasons[index] = reasons[index] or _place("pairs", index, pair)
    kept = [index for index, reason in enumerate(reasons) if not reason]
    beside = None if second is None else [repair(second[index]) for index in kept]
    return [repair(first[index]) for index in kept], beside, reasons


def check_sentences(sentences: Iterable[Sequence[str]]) -> list[list[str]]:
    """Sentences that are split into words, as lists.

    Raises:
        ValueError: A sentence is a string, or holds something that is not a word; both are named.
    """
    return [_words(index, words) for index, words in enumerate(listed(sentences, "sentences"))]


def _words(index: int, words: Sequence[str]) -> list[str]:
    if isinstance(words, str | bytes):
        raise ValueError(
            f"sentences[{index}]: got a string; give its words as a list, or call predict"
        )
    found = listed(words, f"sentences[{index}]")
    for place, word in enumerate(found):
        if reason := refusal(word):
            raise ValueError(f"sentences[{index}][{place}] {reason}")
    return [repair(word) for word in found]


def _as_many(pairs: Iterable[Any] | None, first: list[Any]) -> list[Any] | None:
    """The second texts as a list, which must be as long as that of the first ones."""
    if pairs is None:
        return None
    second = listed(pairs, "pairs")
    if len(second) != len(first):
        raise ValueError(f"pairs: {len(second)} for {len(first)} texts; give as many")
    return second


def listed(texts: Iterable[Any], name: str = "texts") -> list[Any]:
    """The items of any ordered iterable.

    Raises:
        ValueError: It is a single string, a table, a mapping, a set, or not iterable.
    """
    if isinstance(texts, str | bytes):
        raise ValueError(f"{name}: got one string; give a list of them: [{texts[:20]!r}]")
    if isinstance(texts, Mapping):
        raise ValueError(f"{name}: got a mapping; give the column of texts, as a list")
    if isinstance(texts, Set):
        raise ValueError(f"{name}: got a set, which has no order to answer in; give a list")
    if hasattr(texts, "columns"):  # iterating a pandas table gives the names of its columns
        raise ValueError(f"{name}: got a table; give its column of texts")
    try:
        items = iter(texts)
    except TypeError as error:
        raise ValueError(f"{name}: {type(texts).__name__} is not a list of texts") from error
    return list(items)


def refusal(text: Any) -> str:
    """Why `text` cannot be read, or "" if it can."""
    if not isinstance(text, str):
        return f"is {shown(text)} ({type(text).__name__}), not a text"
    return "" if text.strip() else "is empty; leave it out or give it a text"


def _place(name: str, index: int, text: Any) -> str:
    reason = refusal(text)
    return f"{name}[{index}] {reason}" if reason else ""


def repair(text: str) -> str:
    """`text` with each lone surrogate replaced by U+FFFD."""
    return text if text.isascii() else _LONE_SURROGATE.sub(_REPLACEMENT, text)
