import numpy as np
import pytest

from leanformer.tasks import Asked, TokenClassification
from leanformer.tasks.labels import IGNORE
from leanformer.tasks.tokens import TagPerWord
from leanformer.text import Reading

KIND, FORM = TokenClassification(), TagPerWord()
NAMES = ("B-PER", "O")
OUTPUTS = [np.array([[0, 1], [1, 0], [0, 1]], np.float32)]


def test_a_word_has_the_tag_of_its_first_token() -> None:
    asked = Asked(names=NAMES, labels=[(0, 1, 0)], firsts=[(1, 2, None)])
    assert KIND.answers(OUTPUTS, asked) == [["B-PER", "O", "O"]]
    assert KIND.right(asked) == [["B-PER", "O", "B-PER"]]
    found = KIND.metric("span_f1", NAMES).score(KIND.answers(OUTPUTS, asked), KIND.right(asked))
    assert found == pytest.approx(2 / 3)
    assert KIND.agreement(OUTPUTS, OUTPUTS) == 1


def test_a_user_gets_spans() -> None:
    reading = Reading([1, 2, 3], [0, 0, 0], False, (1, 2))
    ((span,),) = KIND.serve(OUTPUTS, NAMES, ["Ada sang"], [reading])
    assert (span.label, span.text, span.start, span.end) == ("PER", "Ada", 0, 3)


def test_tags_are_read_one_per_word() -> None:
    row = {"words": ["a", "b"], "tags": ["O", "B-PER"]}
    assert FORM.parse(FORM.read(row, "tags"), NAMES) == [1, 0]
    assert FORM.renumbered([1, 0], [2, 0], 3) == [0, 2]
    assert FORM.blank(3) == [IGNORE] * 3
    with pytest.raises(ValueError, match="2 words and 1 tags; give one tag per word"):
        FORM.read({"words": ["a", "b"], "tags": ["O"]}, "tags")
    with pytest.raises(ValueError, match=r"one tag only \('O'\); token classification needs two"):
        FORM.names([["O"], ["O"]], "tags")
    with pytest.raises(ValueError, match=r"tag 'B-PRE' is not among the training tags.*B-PER"):
        FORM.parse(["B-PRE"], NAMES)
