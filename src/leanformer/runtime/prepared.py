"""A text that a system has read and not answered yet, so that it is tokenized once.

    prepared = system.prepare(["where is my card?"])     # its length is known, nothing is computed
    system.answer_prepared(prepared)                      # what `answer` gives for the same texts

A server prepares the texts of a request when it comes, refuses what is too long, sorts its queue by
lengths, and answers later, in another thread and together with texts of other requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leanformer.text import Reading


@dataclass(frozen=True)
class Prepared:
    """A text, or a pair of texts, on its way through a server.

    Attributes:
        text: The text, or its words, as the system takes it.
        pair: The second text; None where the system reads single texts.
        length: How much is read of it, of both texts of a pair: tokens, or words.
        reading: Its tokens; None of a system that reads the text again when it answers.
    """

    text: Any
    pair: str | None
    length: int
    reading: Reading | None = None


def unpacked(prepared: Sequence[Prepared]) -> tuple[list[Any], list[str] | None]:
    """The texts and their pairs, as `System.answer` takes them."""
    pairs = [one.pair for one in prepared if one.pair is not None]
    return [one.text for one in prepared], pairs or None
