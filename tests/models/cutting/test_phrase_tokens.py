"""Phrases as tokens: they cover the characters that their pieces covered, and change nothing else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from leanformer.models.cutting.phrase_tokens import add_phrases, spelled_out
from leanformer.models.cutting.vocabulary import cut_vocabulary
from leanformer.models.families import FAMILIES
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer

PHRASES = ["how do i", "how do", "do i get", "topup", "don't", "café"]
PLAIN = ["the lazy fox answers", "what is the weather?", "how dogs do", "topups", "xhow do in"]
TEXTS = ["How do I get a topup, please", "well, how do i", "(don't) topup-topup", "the café's"]
ANY = st.lists(
    st.sampled_from(["how", "do", "i", "get", "topup", "don't", "Café", "fox", ".", "-", "'", "s"]),
    min_size=1,
    max_size=8,
)
READABLE = [family for family in FAMILIES if family not in ("xlm-roberta", "deberta-v2")]


def phrases_for(tokenizer: Any) -> list[str]:
    """As the normalizer leaves them."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    return [normalizer.normalize_str(p) if normalizer else p for p in PHRASES]


def with_phrases(family: str, **settings: Any) -> tuple[Any, Any, Any]:
    model, tokenizer = tiny_model(family, **settings)
    return model, tokenizer, add_phrases(model, tokenizer, phrases_for(tokenizer))


def covered(tokenizer: Any, text: str) -> set[int]:
    """Where the visible characters are that tokens cover."""
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return {place for low, high in offsets for place in range(low, high) if text[place] != " "}


@pytest.mark.parametrize("family", READABLE)
def test_texts_without_phrases_are_read_and_answered_as_before(family: str, tmp_path: Path) -> None:
    model, before = tiny_model(family)
    with torch.no_grad():
        expected = model(**before(PLAIN, padding=True, return_tensors="pt")).logits
    after = add_phrases(model, before, phrases_for(before))
    assert after(PLAIN)["input_ids"] == before(PLAIN)["input_ids"]
    assert after.all_special_tokens == before.all_special_tokens
    assert after.decode(after(PLAIN[0])["input_ids"]) == before.decode(
        before(PLAIN[0])["input_ids"]
    )
    save_model(model, after, tmp_path / "m")
    again, read = load_model(tmp_path / "m", "classification")
    assert again.config.vocab_size == len(read) == len(before) + len(PHRASES)
    with torch.no_grad():
        found = again(**read(PLAIN, padding=True, return_tensors="pt")).logits
    assert torch.equal(found, expected)
    assert read(TEXTS)["input_ids"] == after(TEXTS)["input_ids"]


@pytest.mark.parametrize("family", READABLE)
def test_phrases_cover_the_characters_that_their_pieces_covered(family: str) -> None:
    _, before, after = with_phrases(family)
    for text in TEXTS:
        assert len(after.tokenize(text)) < len(before.tokenize(text))
        assert covered(after, text) == covered(before, text)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=ANY, gaps=st.lists(st.sampled_from(["", " ", "  "]), min_size=8, max_size=8))
def test_spelled_out_a_text_has_the_tokens_of_before(words: list[str], gaps: list[str]) -> None:
    _, before, after = BERT
    text = "".join(gap + word for gap, word in zip(gaps, words, strict=False))
    parts = dict(
        zip(phrases_for(before), spelled_out(before, phrases_for(before), False), strict=True)
    )
    found: list[int] = []
    for token, number in zip(after.tokenize(text), after(text)["input_ids"][1:-1], strict=True):
        found += parts.get(token, [number])
    assert found == before(text)["input_ids"][1:-1]


BERT = with_phrases("bert")


def test_the_longest_phrase_between_words_is_read_and_accents_do_not_matter() -> None:
    tokenizer = BERT[2]
    assert tokenizer.tokenize("How do I get") == ["how do i", "g", "##e", "##t"]
    assert tokenizer.tokenize("CAFÉ, cafe") == ["cafe", ",", "cafe"]
    assert "how do" not in tokenizer.tokenize("how dog")
    offsets = tokenizer("Ah, CAFÉ don't", return_offsets_mapping=True)["offset_mapping"]
    assert offsets[-3:-1] == [(4, 8), (9, 14)]


def test_byte_level_phrases_take_the_space_before_them() -> None:
    _, before, after = with_phrases("roberta")
    assert after.tokenize("so how do i, how do") == ["s", "o", " how do i", ",", " how do"]
    assert after.tokenize("how do i") == ["how do i"]
    assert spelled_out(before, ["how do"], True) == [before(" how do")["input_ids"][1:-1]]


def test_words_given_one_by_one_keep_their_numbers() -> None:
    tokenizer = BERT[2]
    words = ["a", "topup", "isn't", "the", "don't"]
    owners = tokenizer(words, is_split_into_words=True).word_ids()
    assert [owners.count(word) for word in range(5)] == [1, 1, 4, 1, 1]


@pytest.mark.parametrize("head", ["masked", "causal"])
@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_are_the_mean_of_their_parts_in_every_layer(head: str, tied: bool) -> None:
    family = "gpt2" if head == "causal" else "bert"
    model, before, _ = with_phrases(family, head=head, tie_word_embeddings=tied)
    plain = tiny_model(family, head=head, tie_word_embeddings=tied)[0]
    parts = spelled_out(before, phrases_for(before), family == "gpt2")
    assert max(map(len, parts)) > 2
    for layer in ("get_input_embeddings", "get_output_embeddings"):
        rows, known = getattr(model, layer)().weight, getattr(plain, layer)().weight
        assert torch.equal(rows[: len(before)], known)
        for row, ids in zip(rows[len(before) :], parts, strict=True):
            torch.testing.assert_close(row, known[ids].mean(0))
    shared = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert shared == tied
    if head == "masked":
        bias, known = model.cls.predictions.bias, plain.cls.predictions.bias
        torch.testing.assert_close(bias[-1], known[parts[-1]].mean())
    logits = model(torch.tensor([[1, len(before)]])).logits
    assert logits.shape[-1] == len(before) + len(PHRASES) == model.config.vocab_size


def test_ids_of_padding_and_of_the_generation_stay(tmp_path: Path) -> None:
    model, before = tiny_model("gpt2", head="causal")
    model.generation_config.suppress_tokens = [3, 4]
    after = add_phrases(model, before, ["how do i"])
    assert (after.pad_token_id, model.config.pad_token_id) == (before.pad_token_id,) * 2
    assert model.generation_config.suppress_tokens == [3, 4]
    assert model.transformer.wte.padding_idx == tiny_model("gpt2")[0].transformer.wte.padding_idx


def test_a_fresh_process_reads_the_folder_with_transformers_alone(tmp_path: Path) -> None:
    model, before = tiny_model("bert")
    cut, _ = cut_vocabulary(model, before, TEXTS)
    after = add_phrases(model, cut, phrases_for(cut))
    save_model(model, after, tmp_path / "m")
    with torch.no_grad():
        expected = model(**after(TEXTS, padding=True, return_tensors="pt")).logits
    program = (
        "import json, sys; from transformers import AutoModelForSequenceClassification as M\n"
        "from transformers import AutoTokenizer as T; t = T.from_pretrained(sys.argv[1])\n"
        "m = M.from_pretrained(sys.argv[1]).eval(); texts = json.loads(sys.argv[2])\n"
        "b = t(texts, padding=True, return_tensors='pt')\n"
        "print(json.dumps([b['input_ids'].tolist(), m(**b).logits.tolist()]))"
    )
    asked = [sys.executable, "-c", program, str(tmp_path / "m"), json.dumps(TEXTS)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    ids, logits = json.loads(done.stdout.splitlines()[-1])
    assert ids == after(TEXTS, padding=True)["input_ids"]
    torch.testing.assert_close(torch.tensor(logits), expected)


@pytest.mark.parametrize("family", ["xlm-roberta", "deberta-v2"])
def test_tokenizers_that_would_read_the_rest_otherwise_are_refused(family: str) -> None:
    model, tokenizer = tiny_model(family)
    with pytest.raises(ValueError, match=r"phrases: this tokenizer \(Unigram after \w+\) would"):
        add_phrases(model, tokenizer, ["how do i"])
    assert model.config.vocab_size == len(tokenizer)


def test_what_does_not_fit_is_refused_and_nothing_is_changed() -> None:
    model, tokenizer = tiny_model("bert")
    with pytest.raises(ValueError, match="'fox' is a token of the vocabulary already"):
        add_phrases(model, tokenizer, ["how do i", "fox"])
    with pytest.raises(ValueError, match=r"has \d+ word embeddings and its tokenizer 6 tokens"):
        add_phrases(model, BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1, "a": 2}), ["how do i"])
    assert model.config.vocab_size == len(tokenizer)
    assert len(add_phrases(model, tokenizer, [])) == len(tokenizer) == model.config.vocab_size
    assert len(tiny_tokenizer("bert")) == len(tokenizer)
