from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.retrieve.searching.texts.documents import Document
from leanformer.retrieve.searching.texts.keys import (
    Keyed,
    digest_of_text,
    document_in,
    text_digest_in,
)
from leanformer.retrieve.searching.texts.passages import Passage

NAMES = st.text(st.characters(codec="utf-8"), min_size=1)


@settings(deadline=None, max_examples=50)
@given(NAMES, st.text(st.characters(codec="utf-8")), st.integers(0, 10**9))
def test_a_key_gives_back_its_document_and_the_digest_of_its_text(
    name: str, text: str, start: int
) -> None:
    document = Document(name, text, {"source": name}, 0)
    made = Keyed.of(document, Passage(text, start, start + len(text)))
    assert document_in(made.key) == name
    assert text_digest_in(made.key) == digest_of_text(text)
    assert made.record["metadata"]["start_char"] == start


def test_another_text_place_or_metadata_is_another_key() -> None:
    document = Document("a", "x", {"source": "a"}, 0)
    keys = {
        Keyed.of(document, Passage("x", 0, 1)).key,
        Keyed.of(document, Passage("y", 0, 1)).key,
        Keyed.of(document, Passage("x", 1, 2)).key,
        Keyed.of(document._replace(name="b"), Passage("x", 0, 1)).key,
        Keyed.of(document._replace(metadata={"source": "a", "year": 1}), Passage("x", 0, 1)).key,
    }
    assert len(keys) == 5
    assert text_digest_in("of another form") == ""
