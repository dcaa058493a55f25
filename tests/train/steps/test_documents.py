import pytest
from train.toy import TEXTS
from transformers import BloomConfig, BloomForCausalLM

from leanformer.data.packing import documents
from leanformer.models.tiny import tiny_model
from leanformer.train.steps.documents import encode_documents

KIND = "causal-lm"


def test_long_texts_are_split_where_texts_are_packed_and_cut_where_not() -> None:
    model, tokenizer = tiny_model("llama", head="causal")
    texts = [" ".join(TEXTS), "music"]
    whole = sum(map(len, documents(texts, tokenizer)))
    packed, read = encode_documents(texts, tokenizer, KIND, 16, packed_for=[model])
    assert sum(map(packed.length, range(len(packed)))) == whole > 64
    assert (
        read == f"2 texts packed into {len(packed)} rows of 16 tokens, 1 of them longer and split"
    )
    single, read = encode_documents(texts, tokenizer, KIND, 16)
    assert [single.length(index) for index in range(2)] == [
        16,
        len(documents(["music"], tokenizer)[0]),
    ]
    assert read == "2 texts, 1 cut to 16 tokens"
    longest, _ = encode_documents(texts, tokenizer, KIND, 10**6, packed_for=[model])
    assert max(map(longest.length, range(len(longest)))) == tokenizer.model_max_length
    with pytest.raises(ValueError, match="max_length: 1 is too short to predict a token"):
        encode_documents(texts, tokenizer, KIND, 1, packed_for=[model])


def test_texts_are_not_packed_for_a_model_in_which_they_would_see_each_other() -> None:
    model, tokenizer = tiny_model("llama", head="causal")
    config = BloomConfig(vocab_size=len(tokenizer), hidden_size=32, n_layer=1, n_head=4)
    models = [model, BloomForCausalLM(config)]
    with pytest.raises(ValueError, match="set packing = false, which gives each text a row"):
        encode_documents(["the fox"], tokenizer, KIND, 16, packed_for=models)
