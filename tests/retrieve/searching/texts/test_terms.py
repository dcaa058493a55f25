import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.retrieve.searching.texts.terms import terms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The cat sat on a MAT", ["cat", "sat", "mat"]),
        ("don't panic: C3PO, 42!", ["don", "panic", "c3po", "42"]),
        ("Naïve ＦＵＬＬ ﬁnd", ["naïve", "full", "find"]),
        ("東京タワー and 京", ["東京", "京タ", "タワ", "ワー", "京"]),
        ("Straße snake_case", ["straße", "snake_case"]),
        ("हिन्दी भाषा। বাংলা", ["हिन्दी", "भाषा", "বাংলা"]),
        ("שָׁלוֹם مُحَمَّد", ["שָׁלוֹם", "مُحَمَّد"]),
        ("co\u00adoperate n\u0303o", ["cooperate", "ño"]),
        ("人々は 𠮷野", ["人々", "々は", "𠮷野"]),
        (" \n!?", []),
        ("", []),
    ],
)
def test_terms_are_words_in_lower_case_and_pairs_of_characters(text: str, found: list[str]) -> None:
    assert terms(text) == found


@given(st.text(max_size=60))
def test_a_text_has_the_terms_of_its_lines_whatever_its_characters(text: str) -> None:
    assert terms(f"{text}\n{text}") == terms(text) * 2
    assert all(0 < len(term) <= 64 for term in terms(text))


def test_a_term_that_is_no_word_is_cut() -> None:
    assert terms("a" * 100) == ["a" * 64]
