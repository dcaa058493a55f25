"""A cut vocabulary encodes its corpus as the whole one did, and nothing becomes unencodable."""

import string
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from leanformer.models.anatomy import anatomy_of
from leanformer.models.anatomy.shape import shape_of
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.cutting.pieces import Pieces
from leanformer.models.cutting.tokenizer_json import backend_of
from leanformer.models.cutting.vocabulary import count_pieces, cut_vocabulary
from leanformer.models.families import FAMILIES
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS, tiny_tokenizer

CORPUS = ["the lazy fox answers unable", "play music in the mountains, please!", "ünsaid 37 ☃ dog"]


def outputs(model: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    values: torch.Tensor = model(**batch)[0]
    return values


@pytest.mark.parametrize("family", FAMILIES)
def test_the_corpus_keeps_its_tokens_and_its_outputs(family: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family)
    tokens = [tokenizer.tokenize(text) for text in CORPUS]
    expected = outputs(model, tokenizer, CORPUS)
    rows = anatomy_of(model).word_embeddings(model).weight.detach().clone()

    cut, kept = cut_vocabulary(model, tokenizer, CORPUS)

    assert len(cut) == len(kept) == shape_of(model).vocabulary < len(tokenizer)
    assert [cut.tokenize(text) for text in CORPUS] == tokens
    assert torch.equal(outputs(model, cut, CORPUS), expected)
    assert torch.equal(anatomy_of(model).word_embeddings(model).weight, rows[kept])
    assert cut.convert_ids_to_tokens(range(len(cut))) == tokenizer.convert_ids_to_tokens(kept)
    assert cut.all_special_tokens == tokenizer.all_special_tokens
    assert model.config.pad_token_id == cut.pad_token_id

    save_model(model, cut, tmp_path / "m")
    again, tokens_again = load_model(tmp_path / "m", "classification")
    assert torch.equal(outputs(again, tokens_again, CORPUS), expected)
    assert AutoTokenizer.from_pretrained(tmp_path / "m").get_vocab() == cut.get_vocab()


@pytest.mark.parametrize("family", FAMILIES)
def test_output_layers_are_cut_with_the_embeddings(family: str, tmp_path: Path) -> None:
    head = "causal" if family in ("gpt2", "llama") else "masked"
    for tied in (True, False):
        model, tokenizer = tiny_model(family, head=head, tie_word_embeddings=tied)
        expected = outputs(model, tokenizer, CORPUS)
        cut, kept = cut_vocabulary(model, tokenizer, CORPUS)
        assert torch.equal(outputs(model, cut, CORPUS), expected[..., kept])
        shared = model.get_output_embeddings().weight is model.get_input_embeddings().weight
        assert shared == tied
        keep_heads(model, {0: [0, 1]})
        save_model(model, cut, tmp_path / str(tied))
        auto = AutoModelForMaskedLM if head == "masked" else AutoModelForCausalLM
        again = auto.from_pretrained(tmp_path / str(tied))
        assert torch.equal(outputs(again, cut, CORPUS), outputs(model, cut, CORPUS))


KINDS = {"bert": "WordPiece", "gpt2": "BPE", "xlm-roberta": "Unigram"}
WORDS = st.text(string.ascii_lowercase + " ", min_size=1, max_size=12)


@pytest.mark.parametrize("family", KINDS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    corpus=st.lists(st.one_of(st.sampled_from(TEXTS), WORDS), min_size=1, max_size=4), other=WORDS
)
def test_any_corpus_keeps_its_tokens(family: str, corpus: list[str], other: str) -> None:
    model, tokenizer = tiny_model(family)
    assert backend_of(tokenizer)["model"]["type"] == KINDS[family]
    cut, _ = cut_vocabulary(model, tokenizer, corpus)
    assert [cut.tokenize(text) for text in corpus] == [tokenizer.tokenize(text) for text in corpus]
    unknown = tokenizer.unk_token if family != "gpt2" else None
    assert unknown not in cut.tokenize(other)
    assert cut.decode(cut(other)["input_ids"], skip_special_tokens=True).split() == other.split()


def test_rare_pieces_go_and_their_words_are_spelled() -> None:
    model, tokenizer = tiny_model("bert")
    cut, _ = cut_vocabulary(model, tokenizer, ["fox fox dog"], min_count=2)
    assert cut.tokenize("fox dog") == ["fox", "d", "##o", "##g"]


@pytest.mark.parametrize("family", KINDS)
def test_size_keeps_the_most_frequent(family: str) -> None:
    model, tokenizer = tiny_model(family)
    fixed = len(cut_vocabulary(tiny_model(family)[0], tokenizer)[1])
    cut, kept = cut_vocabulary(model, tokenizer, ["fox fox fox", "mountains"], size=fixed + 4)
    assert fixed <= len(kept) <= fixed + 4
    assert len(cut) == len(kept)
    if family != "gpt2":
        assert cut.tokenize("fox") == tokenizer.tokenize("fox")


def test_kept_ids_and_words_already_split() -> None:
    model, tokenizer = tiny_model("bert")
    number = tokenizer.convert_tokens_to_ids("weather")
    cut, kept = cut_vocabulary(model, tokenizer, ["lazy dog"], keep_ids=[number])
    assert number in kept
    assert cut.tokenize("lazy dog weather") == ["lazy", "dog", "weather"]
    assert count_pieces(tokenizer, ["lazy dog", "dog \ud83d"]).most_common(1)[0][1] == 2


def test_the_tokenizer_is_left_as_it_is_and_cutting_twice_works() -> None:
    model, tokenizer = tiny_model("roberta")
    before = backend_of(tokenizer)
    once, _ = cut_vocabulary(model, tokenizer, CORPUS)
    assert backend_of(tokenizer) == before
    expected = outputs(model, once, CORPUS[:1])
    twice, _ = cut_vocabulary(model, once, CORPUS[:1])
    assert len(twice) < len(once)
    assert torch.equal(outputs(model, twice, CORPUS[:1]), expected)


def test_padding_ids_that_count_positions_do_not_move() -> None:
    model, tokenizer = tiny_model("xlm-roberta", pad_token_id=9)
    _, kept = cut_vocabulary(model, tokenizer, ["dog"])
    assert kept[:10] == list(range(10))
    assert model.config.pad_token_id == 9


def test_ids_in_lists_and_in_the_generation_settings() -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")
    words = [tokenizer.convert_tokens_to_ids(token) for token in ("Ġthe", "</s>")]
    model.generation_config.eos_token_id = words
    cut, _ = cut_vocabulary(model, tokenizer, ["a dog"])
    assert cut.convert_ids_to_tokens(model.generation_config.eos_token_id) == ["Ġthe", "</s>"]


def refuse(match: str, tokenizer: Any, **options: Any) -> None:
    model, _ = tiny_model("bert")
    before = shape_of(model)
    with pytest.raises(ValueError, match=match):
        cut_vocabulary(model, tokenizer, CORPUS, **options)
    assert shape_of(model) == before


def test_refusals() -> None:
    tokenizer = tiny_tokenizer("bert")
    refuse("size is 10, and .* pieces cannot go", tokenizer, size=10)
    refuse("keep_ids: 999 is not an id", tokenizer, keep_ids=[3, 999])
    refuse("min_count is 0", tokenizer, min_count=0)
    refuse(r"ids up to 419 and the model 158 embeddings", tiny_tokenizer("roberta"))
    refuse("is not a fast tokenizer", object())
    words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    refuse("a WordLevel tokenizer cannot be cut", PreTrainedTokenizerFast(tokenizer_object=words))
    suffixed = Tokenizer(models.BPE({"a</w>": 0}, [], end_of_word_suffix="</w>"))
    refuse("carry a prefix or a suffix", PreTrainedTokenizerFast(tokenizer_object=suffixed))


def test_pieces_with_characters_of_their_own_stay() -> None:
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2, "ab": 3, "aé": 4}))
    pieces = Pieces(backend_of(PreTrainedTokenizerFast(tokenizer_object=words)))
    assert {pieces.by_id[number] for number in pieces.fixed} == {"[UNK]", "a", "##b", "aé"}


def sentencepiece_like() -> Any:
    """BPE as converted from SentencePiece: byte fallback, and two merges that make the same piece."""
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    words = ["▁", *"abcd", "ab", "bc", "abc", "abcd", "▁a", "▁abc", "cd", "dd"]
    merges = [("b", "c"), ("a", "b"), ("a", "bc"), ("ab", "c"), ("c", "d"), ("abc", "d")]
    merges += [("▁", "a"), ("▁", "abc"), ("d", "d")]
    vocabulary = {piece: number for number, piece in enumerate(["<unk>", "<s>", *bytes_, *words])}
    model = models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<s>")


@settings(max_examples=40, deadline=None)
@given(
    corpus=st.lists(st.text("abcdé ", max_size=9), min_size=1, max_size=3), other=st.text("abcdé")
)
def test_merges_from_sentencepiece(corpus: list[str], other: str) -> None:
    tokenizer = sentencepiece_like()
    model, _ = tiny_model("llama", vocab_size=300)
    cut, _ = cut_vocabulary(model, tokenizer, corpus)
    assert [cut.tokenize(text) for text in corpus] == [tokenizer.tokenize(text) for text in corpus]
    assert "<unk>" not in cut.tokenize(other)
    assert cut.convert_tokens_to_ids("<0xFF>") != cut.unk_token_id


def test_merges_that_are_left_out_were_not_needed() -> None:
    model, _ = tiny_model("llama", vocab_size=300)
    cut, _ = cut_vocabulary(model, sentencepiece_like(), ["abc"])
    merges = backend_of(cut)["model"]["merges"]
    assert ["▁", "abc"] in merges
    assert ["c", "d"] not in merges
    assert cut.tokenize("abcd") == ["▁abc", "d"]
