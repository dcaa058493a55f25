import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from leanformer.text.texts import TextError, check_pairs, check_texts, repair


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        (text for text in "ab"),
        iter(["a", "b"]),
        map(str, ["a", "b"]),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_any_ordered_iterable_is_read_whole(texts: Any) -> None:
    assert check_texts(texts) == ["a", "b"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("abc", r"texts: got one string; give a list of them: \['abc'\]"),
        (b"abc", "texts: got one string"),
        ({"text": ["a"]}, "texts: got a mapping; give the column of texts"),
        ({"a", "b"}, "texts: got a set, which has no order"),
        (SimpleNamespace(columns=["text"]), "texts: got a table; give its column of texts"),
        (3, "texts: int is not a list of texts"),
        (["a", " \n"], r"texts\[1\] is empty; leave it out or give it a text"),
        (["a", None], r"texts\[1\] is None \(NoneType\), not a text"),
        (["a", 3], r"texts\[1\] is 3 \(int\), not a text"),
        (["a", float("nan")], r"texts\[1\] is nan \(float\), not a text"),
    ],
)
def test_what_is_not_a_list_of_texts_is_refused_with_its_place(texts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_texts(texts)


def test_a_fault_of_the_callers_iterator_is_theirs() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise TypeError("of the caller's own")

    with pytest.raises(TypeError, match="of the caller's own"):
        check_texts(broken())


def test_pairs_are_as_many_as_texts() -> None:
    assert check_pairs(iter("ab"), iter("cd")) == (["a", "b"], ["c", "d"])
    assert check_pairs(["a"], None) == (["a"], None)
    with pytest.raises(ValueError, match="pairs: 1 for 2 texts; give as many"):
        check_pairs(["a", "b"], ["c"])
    with pytest.raises(ValueError, match=r"pairs\[0\] is empty"):
        check_pairs(["a"], [""])


def test_half_of_a_character_is_replaced() -> None:
    assert repair("the fox \ud83d!") == "the fox \ufffd!"
    assert check_texts(["\udc00"]) == ["\ufffd"]
    assert repair("👍 é") == "👍 é"


def test_the_error_names_its_index_also_in_another_process() -> None:
    with pytest.raises(TextError) as caught:
        check_texts(["a", ""])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.index, str(again)) == (1, str(caught.value))
