import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.text.tags import Entity, Span, entities, spans, split_tag, word_tags

TYPED = [f"{prefix}-{kind}" for prefix in "BIESLU" for kind in ("PER", "job-title")]


def conlleval(tags: list[str]) -> list[Entity]:
    """The rules of conlleval, with BIOES and BILOU: a chunk ends and begins by two tables."""
    parts = [("O", ""), *((tag[0], tag[2:]) for tag in tags), ("O", "")]
    found, begun = [], -1
    for place in range(1, len(parts)):
        (before, old), (now, new) = parts[place - 1], parts[place]
        before, now = (p.translate(str.maketrans("LU", "ES")) for p in (before, now))
        ends = before in "ES" or (before in "BI" and (now in "BSO" or old != new))
        begins = now in "BS" or (now in "EI" and (before in "ESO" or old != new))
        if begun >= 0 and ends:
            found.append((begun - 1, place - 1, old))
            begun = -1
        if begins:
            begun = place
    return found


@given(st.lists(st.sampled_from([*TYPED, "O"]), max_size=12))
def test_typed_tags_are_read_as_conlleval_reads_them(tags: list[str]) -> None:
    assert entities(tags) == conlleval(tags)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-PER", [(0, 2, "PER"), (3, 4, "PER")]),
        ("I-PER I-PER", [(0, 2, "PER")]),
        ("B-PER B-PER", [(0, 1, "PER"), (1, 2, "PER")]),
        ("B-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")]),
        ("S-PER S-PER", [(0, 1, "PER"), (1, 2, "PER")]),
        ("B-PER I-PER E-PER E-PER", [(0, 3, "PER"), (3, 4, "PER")]),
        ("B-PER L-PER U-PER", [(0, 2, "PER"), (2, 3, "PER")]),
        ("B-job-title B-film-title", [(0, 1, "job-title"), (1, 2, "film-title")]),
        ("B I O B", [(0, 2, ""), (3, 4, "")]),
        ("PER PER O LOC", [(0, 2, "PER"), (3, 4, "LOC")]),
        ("job-title job-title", [(0, 2, "job-title")]),
        ("PER B-PER", [(0, 1, "PER"), (1, 2, "PER")]),
        ("O O", []),
        ("", []),
    ],
)
def test_schemes(tags: str, expected: list[Entity]) -> None:
    assert entities(tags.split()) == expected


def test_the_type_is_all_after_the_first_hyphen() -> None:
    assert split_tag("B-job-title") == ("B", "job-title")
    assert split_tag("job-title") == ("", "job-title")
    assert split_tag("O") == ("O", "")
    assert split_tag("I") == ("I", "")


@given(st.lists(st.sampled_from(["O", "PER", "LOC", *TYPED]), max_size=12))
def test_entities_are_in_order_and_apart(tags: list[str]) -> None:
    found = entities(tags)
    inside = [place for first, last, _ in found for place in range(first, last)]
    assert inside == [place for place, tag in enumerate(tags) if tag != "O"]


def test_a_word_takes_the_tag_of_its_first_token() -> None:
    logits = np.eye(3, dtype=np.float32)[[2, 0, 1, 2]]
    assert word_tags(logits, (1, None, 3), ("O", "B-X", "I-X")) == ["O", "O", "I-X"]


def test_spans_are_pieces_of_the_text_with_their_least_score() -> None:
    text, places = "the big fox ran", [(0, 3), (4, 7), (8, 11), (12, 15)]
    found = spans(text, ["O", "B-A", "I-A", "S-B"], [0.9, 0.8, 0.5, 0.7], places)
    assert found == [Span("A", 4, 11, "big fox", 0.5), Span("B", 12, 15, "ran", 0.7)]
