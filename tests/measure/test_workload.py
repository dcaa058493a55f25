import pytest
from runtime_samples import TEXTS

from leanformer.measure.workload import CALLS, each_load, single_load, text_load
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.text import reader_of


class Echo:
    """Gives back what it was asked."""

    def __init__(self):
        self.asked = []

    def answer(self, texts, pairs=None):
        self.asked.append((list(texts), pairs))
        return texts


def test_all_texts_are_answered_in_one_call():
    load, echo = text_load(TEXTS, TEXTS[::-1]), Echo()
    load.run(echo)
    assert echo.asked == [(list(TEXTS), TEXTS[::-1])]
    assert load.texts == len(TEXTS)


@pytest.mark.parametrize("tokens", [8, 32])
@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_single_texts_nearly_fill_their_tokens(family, tokens):
    reader = reader_of(tiny_tokenizer(family), 64)
    load, echo = single_load(lambda text: len(reader(text).ids), TEXTS, tokens=tokens), Echo()
    load.run(echo)
    assert load.texts == len(echo.asked) == CALLS
    for (text,), pairs in echo.asked:
        assert pairs is None
        assert 3 <= len(reader(text).ids) <= tokens
    assert len({texts[0] for texts, _ in echo.asked}) > 1


def test_pairs_share_the_tokens():
    reader = reader_of(tiny_tokenizer("bert"), 64)
    load = single_load(lambda text: len(reader(text).ids), TEXTS, TEXTS[::-1], tokens=32)
    for (text,), pairs in load.calls:
        assert len(reader(text).ids) <= 16
        assert len(reader(pairs[0]).ids) <= 16


def test_a_load_needs_texts():
    with pytest.raises(ValueError, match="texts: a load is made of the caller's texts"):
        single_load(len, [], tokens=8)


def test_each_text_of_a_spread_over_all_has_a_call_of_its_own():
    texts = [f"text {number}" for number in range(200)]
    load = each_load(texts, texts[::-1])
    assert load.texts == len(load.calls) == 64
    assert [call[0][0] for call in load.calls][::63] == ["text 0", "text 196"]
    assert load.calls[1] == (["text 3"], ["text 196"])
    few = each_load(texts[:3])
    assert few.calls == ((["text 0"], None), (["text 1"], None), (["text 2"], None))
