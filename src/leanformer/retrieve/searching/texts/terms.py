"""The terms of a text by which BM25 finds it: its words in lower case, without the commonest ones.

Scripts without spaces between words have no words that can be read off; as in Lucene, each two
neighbouring characters of them are a term.
"""

import re
import unicodedata

from leanformer.retrieve.searching.texts.passages import UNSPACED

_TERM = re.compile(rf"[{UNSPACED}]+|[^\W{UNSPACED}]{{2,}}")
_UNSPACED = re.compile(rf"[{UNSPACED}]")
_LONGEST = 64  # characters of a term; what is longer is not a word, and no question asks for it

_COMMON = """a an and are as at be but by for if in into is it no not of on or such that the their
then there these they this to was will with"""
STOP_WORDS = frozenset(_COMMON.split())
"""English words that are left out: Lucene's list."""


def terms(text: str) -> list[str]:
    """The terms of a text, in order and as often as they occur; none where it has no words."""
    found: list[str] = []
    for match in _TERM.finditer(unicodedata.normalize("NFKC", text).lower()):
        run = match.group()
        if not _UNSPACED.match(run):
            if run not in STOP_WORDS:
                found.append(run[:_LONGEST])
        elif len(run) == 1:
            found.append(run)
        else:
            found += [run[at : at + 2] for at in range(len(run) - 1)]
    return found
