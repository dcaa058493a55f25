import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from leanformer.runtime.hashed_ngrams.encoding import join, slices

TEXTS = st.lists(st.text() | st.text(st.characters(max_codepoint=127)), max_size=6)


@given(texts=TEXTS)
def test_texts_come_back_lower_cased(texts: list[str]) -> None:
    joined = join(texts)
    assert [joined.text(index) for index in range(len(joined))] == [t.lower() for t in texts]
    cased = join(texts, lower=False)
    assert [cased.text(index) for index in range(len(cased))] == texts


def test_lone_surrogates_pass() -> None:
    assert join(["a\ud800b", "c"]).text(0) == "a\ud800b"


@given(texts=TEXTS, most=st.integers(1, 40))
def test_slices_hold_every_text_once(texts: list[str], most: int) -> None:
    joined = join(texts)
    runs = slices(joined, None, most)
    assert [place for start, end in runs for place in range(start, end)] == list(range(len(texts)))
    for start, end in runs:
        part = joined.part(start, end)
        assert [part.text(i) for i in range(len(part))] == [t.lower() for t in texts[start:end]]
        assert end - start == 1 or len(part.data) <= most


def test_slices_of_pairs_count_both() -> None:
    runs = slices(join(["aa", "bb", "cc"]), join(["dd", "ee", "ff"]), 8)
    assert runs == [(0, 2), (2, 3)]
    np.testing.assert_array_equal(join(["é", "b"]).at, [0, 2, 3])
