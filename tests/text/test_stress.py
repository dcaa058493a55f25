"""The stress corpus holds the kinds of text that it promises."""

import unicodedata

from leanformer.text.stress import stress_texts


def test_it_holds_what_tokenizers_stumble_over():
    texts = stress_texts(["<extra>"])
    together = "".join(texts)
    assert 200 < len(texts) < 1000
    assert texts == stress_texts(["<extra>"])
    for part in ("[SEP]", "<s>", "<extra>", "\u200d", "\u0301", "\x7f", "\u3000", "12345", "!!!"):
        assert part in together
    assert max(len(word) for text in texts for word in text.split()) > 100
    assert "" in texts
    scripts = {unicodedata.name(c, "").split()[0] for c in together if c.isalpha()}
    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI"} <= scripts
    assert {"CJK", "HANGUL", "HIRAGANA", "KATAKANA", "ETHIOPIC"} <= scripts
    assert not any("\ud800" <= c <= "\udfff" for c in together)
