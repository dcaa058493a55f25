from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.data.formats.conll import tagged_words

PATH = Path("a.conll")


def read(text: str) -> list[tuple[str, str, int]]:
    """Words, tags and line of each sentence."""
    rows = tagged_words(text, PATH)
    return [(" ".join(row["words"]), " ".join(row["tags"]), row.number) for row in rows]


WORD = st.text(st.characters(min_codepoint=33, exclude_categories=("Z", "C")), min_size=1).filter(
    lambda word: word[0] not in "#0123456789" and word != "-DOCSTART-"
)
SENTENCES = st.lists(st.lists(st.tuples(WORD, WORD), min_size=1), min_size=1)


@settings(max_examples=40)
@given(sentences=SENTENCES, tab=st.sampled_from("\t "), end=st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read(
    sentences: list[list[tuple[str, str]]], tab: str, end: str
) -> None:
    lines = [[*(tab.join(pair) for pair in own), ""] for own in sentences]
    found = tagged_words(end.join(line for own in lines for line in own), PATH)
    assert [list(zip(row["words"], row["tags"], strict=True)) for row in found] == sentences
    assert [row.number for row in found] == [
        1 + sum(map(len, lines[:n])) for n in range(len(lines))
    ]


def test_marks_between_documents_are_no_sentences() -> None:
    text = "-DOCSTART- -X- O O\n\nEU NNP I-NP B-ORG\nrejects VBZ I-VP O\n-DOCSTART- -X- O O\nRome NNP I-NP B-LOC\n"
    assert read(text) == [("EU rejects", "B-ORG O", 3), ("Rome", "B-LOC", 6)]


def test_a_mark_or_the_end_of_a_line_does_not_decide_the_columns() -> None:
    assert read("-DOCSTART-\n\nRome\tNNP\tB-LOC\t\nby\tIN\tO \n") == [("Rome by", "B-LOC O", 3)]


def test_comments_and_hashtags() -> None:
    assert read("# text = Rome by car\nRome\tB-LOC\n#fun\tO\n\n# a note\n\nby\tO\n") == [
        ("Rome #fun", "B-LOC O", 2), ("by", "O", 7),
    ]  # fmt: skip
    assert read("# a = b\nRome NNP B-LOC\n# NN O\n#begin document (x); part 0\n") == [
        ("Rome #", "B-LOC O", 2)
    ]


UNIVERSAL = """# sent_id = 1
# text = im Haus liegt
1-2\tim\t_\t_\t_\t_\t_\t_\t_\t_
1\tin\tin\tADP\tAPPR\t_\t3\tcase\t_\t_
2\tdem\tder\tDET\tART\t_\t3\tdet\t_\t_
3\tHaus\tHaus\tNOUN\tNN\t_\t0\troot\t_\t_
3.1\tliegt\tliegen\tVERB\tVV\t_\t_\t_\t0:x\tSpaceAfter=No

1\t10 000\t10 000\tNUM\tCARD\t_\t0\troot\t_\t_
"""


def test_universal_dependencies_give_forms_and_parts_of_speech() -> None:
    assert tagged_words(UNIVERSAL, PATH) == [
        {"words": ["in", "dem", "Haus"], "upos": ["ADP", "DET", "NOUN"], "xpos": ["APPR", "ART", "NN"]},
        {"words": ["10 000"], "upos": ["NUM"], "xpos": ["CARD"]},
    ]  # fmt: skip
    assert [row.place for row in tagged_words(UNIVERSAL, PATH)] == ["a.conll:3", "a.conll:9"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Anna\tB-PER\nsleeps\n", r"a\.conll:2: 'sleeps' has no tag; write token<TAB>tag"),
        ("Anna\tB-PER\nsleeps\t \n", r"a\.conll:2: 'sleeps.*' has no tag"),
        ("\nAnna NNP B-PER\nsleeps VBZ\n", r"a\.conll:3: 2 columns where line 2 has 3; the tag is the last"),
        ("1\tAnna\tB-PER\n2\tis\tO\n\n1\tRome\tB-LOC\n", r"a\.conll:1: the first column counts the words; .*cut -f2- a\.conll"),
    ],
)  # fmt: skip
def test_what_has_no_tags_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tagged_words(text, PATH)


def test_numbers_may_be_words() -> None:
    assert read("1\tO\n\n2\tO\nmen\tO\n") == [("1", "O", 1), ("2 men", "O O", 3)]
    assert read("") == read("# only = said\n") == []
