"""The terms of a text by which BM25 finds it: its words in lower case, without the commonest ones.

Scripts without spaces between words have no words that can be read off; as in Lucene, each two
neighbouring characters of them, and of Korean, are a term. Marks that combine with letters, such as
the vowel signs of Hindi, belong to the word; characters that are not seen (soft hyphens, joiners)
do not count.
"""

import re
import unicodedata
from functools import cache

from leanformer.text.scripts import HANGUL, UNSPACED, characters_of

_ASCII = re.compile(r"\w{2,}")  # what `_pattern` finds there, in a quarter of the time
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\u2060"))
_PAIRED = characters_of(*UNSPACED, HANGUL)
_UNSPACED = re.compile(rf"[{_PAIRED}]")
_LONGEST = 64  # characters of a term; what is longer is not a word, and no question asks for it

_COMMON = """a an and are as at be but by for if in into is it no not of on or such that the their
then there these they this to was will with"""
STOP_WORDS = frozenset(_COMMON.split())
"""English words that are left out: Lucene's list."""


@cache
def _pattern() -> re.Pattern[str]:
    """Runs of an unspaced script, and words: letters and digits with the marks on them."""
    points = map(chr, range(0x300, 0x1F000))
    marks = "".join(
        one for one in points if unicodedata.category(one)[0] == "M" and not _UNSPACED.match(one)
    )
    letter = rf"[^\W{_PAIRED}]"
    return re.compile(rf"[{_PAIRED}]+|{letter}+(?:[{marks}]+{letter}*)*")


def terms(text: str) -> list[str]:
    """The terms of a text, in order and as often as they occur; none where it has no words."""
    found: list[str] = []
    seen = unicodedata.normalize("NFKC", text.translate(_UNSEEN)).lower()
    for match in (_ASCII if seen.isascii() else _pattern()).finditer(seen):
        run = match.group()
        if not _UNSPACED.match(run):
            if len(run) > 1 and run not in STOP_WORDS:
                found.append(run[:_LONGEST])
        elif len(run) == 1:
            found.append(run)
        else:
            found += [run[at : at + 2] for at in range(len(run) - 1)]
    return found
