import pytest

from leanformer.data.corpus.token_ids import TokenIds
from leanformer.data.packing import documents
from leanformer.models.tiny_tokenizers import TEXTS, tiny_tokenizer


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_causal_documents_end_with_the_end_token_as_elsewhere(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    read = TokenIds(tokenizer, "causal-lm")
    assert read(TEXTS) == documents(TEXTS, tokenizer)
    assert (read.before, read.after) == ((), ())
    assert read.largest == len(tokenizer) - 1


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_masked_documents_have_special_tokens_around_them_in_rows_only(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    read = TokenIds(tokenizer, "masked-lm")
    whole = [[*read.before, *ids, *read.after] for ids in read(TEXTS)]
    assert whole == tokenizer(list(TEXTS))["input_ids"]
    assert len(read.before) == len(read.after) == 1


def test_a_text_without_tokens_has_none() -> None:
    assert TokenIds(tiny_tokenizer("bert"), "masked-lm")(["\u200b\u200b"]) == [[]]


def test_what_a_tokenizer_lacks_is_said() -> None:
    tokenizer = tiny_tokenizer("bert")
    with pytest.raises(ValueError, match="kind: 'tokens' is not causal-lm or masked-lm"):
        TokenIds(tokenizer, "tokens")
    with pytest.raises(ValueError, match="BertTokenizer has no end token"):
        TokenIds(tokenizer, "causal-lm")
    with pytest.raises(ValueError, match="GPT2Tokenizer has no mask token, with which words are"):
        TokenIds(tiny_tokenizer("gpt2"), "masked-lm")


def test_tokenizers_are_told_apart_by_what_they_read() -> None:
    one, other = tiny_tokenizer("gpt2"), tiny_tokenizer("gpt2")
    read = TokenIds(one, "causal-lm")
    one.model_max_length, one.padding_side = 7, "left"
    assert read.identity(one) == TokenIds(other, "causal-lm").identity(other)
    other.eos_token = "<pad>"
    assert read.identity(one) != TokenIds(other, "causal-lm").identity(other)
    lower = tiny_tokenizer("llama")
    assert read.identity(one) != TokenIds(lower, "causal-lm").identity(lower)
