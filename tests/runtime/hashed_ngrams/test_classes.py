"""The fixed table of code points agrees with Python where it matters."""

import sys
import unicodedata

from leanformer.runtime.hashed_ngrams.classes import SPACE, TAGGED, TEXT, WORD


def test_spaces_are_what_python_splits_at() -> None:
    spaces = [c for c in range(2**16) if chr(c).isspace()]
    for table in (TEXT, TAGGED):
        assert [c for c in range(2**16) if table[c] == SPACE] == spaces
    assert not any(chr(c).isspace() for c in range(2**16, sys.maxunicode + 1))


def test_letters_and_digits_of_all_scripts_are_word_characters() -> None:
    found = [
        hex(c)
        for c in range(2**16)
        if unicodedata.category(chr(c)) in ("Lu", "Ll", "Lt", "Lo", "Nd") and TEXT[c] != WORD
    ]
    assert found == []
    assert TEXT[ord("_")] == WORD
    assert not any(TEXT[ord(c)] for c in ".,;:!?-'\"()«»“”—…。、「」！？")


def test_of_tagged_words_only_spaces_separate() -> None:
    assert set(TAGGED.tolist()) == {WORD, SPACE}
    assert TAGGED[ord(",")] == WORD
