"""A cut vocabulary renumbers padding and every other id that a model names, on disk too."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from leanformer.models.anatomy import anatomy_of
from leanformer.models.cutting.vocabulary import cut_vocabulary
from leanformer.models.families import FAMILIES
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model

CORPUS = ["the lazy fox answers unable", "dog"]
SHIFTED = ("roberta", "xlm-roberta", "mpnet")
"""Families whose positions count from the padding id, which does not move."""
UNPADDED = ("gpt2",)
"""Families whose word embeddings have no padding row of their own."""
HEADS = {"classification": AutoModelForSequenceClassification, "causal": AutoModelForCausalLM}


def late(family: str, head: str = "classification") -> tuple[Any, Any]:
    """A model whose padding token, and a token more, are the last of its vocabulary."""
    _, tokenizer = tiny_model(family)
    added = ["<last>"] if family in SHIFTED else ["<late>", "<last>"]
    tokenizer.add_tokens(added, special_tokens=True)
    if family not in SHIFTED:
        tokenizer.pad_token = "<late>"
    last = tokenizer.convert_tokens_to_ids("<last>")
    model, _ = tiny_model(
        family,
        head=head,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=last,
    )
    return model, tokenizer


def tokens_of(config: Any, tokenizer: Any) -> dict[str, Any]:
    """What the ids of a configuration stand for."""
    found = {
        name: tokenizer.convert_ids_to_tokens(value)
        for name, value in config.to_dict().items()
        if name.endswith("_token_id") and value is not None
    }
    assert "pad_token_id" in found or config.pad_token_id is None
    return found


def check_padding(model: Any, tokenizer: Any, family: str) -> None:
    """Padding is where the tokenizer has it, and learns nothing."""
    words = anatomy_of(model).word_embeddings(model)
    assert model.config.pad_token_id == tokenizer.pad_token_id
    if family in UNPADDED:
        assert words.padding_idx is None
        return
    assert words.padding_idx == tokenizer.pad_token_id
    for name, module in model.named_modules():
        number = getattr(module, "padding_idx", None)
        assert number is None or number == tokenizer.pad_token_id, name
    batch = tokenizer(CORPUS, padding=True, return_tensors="pt")
    assert (batch["input_ids"] == tokenizer.pad_token_id).any()
    model.zero_grad()
    model(**batch)[0].square().sum().backward()
    slopes_VD = words.weight.grad
    assert torch.equal(slopes_VD[tokenizer.pad_token_id], torch.zeros_like(slopes_VD[0]))
    assert slopes_VD.abs().sum() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_every_id_are_those_of_the_cut_tokenizer(family: str, tmp_path: Path) -> None:
    model, tokenizer = late(family)
    said = tokens_of(model.config, tokenizer)
    batch = tokenizer(CORPUS, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**batch)[0]
    old = tokenizer.pad_token_id

    cut, kept = cut_vocabulary(model, tokenizer, CORPUS)

    assert len(kept) < len(tokenizer)
    assert cut.pad_token_id == kept.index(old)
    assert (cut.pad_token_id == old) == (family in SHIFTED)
    assert tokens_of(model.config, cut) == said
    assert cut.convert_ids_to_tokens(model.config.decoder_start_token_id) == "<last>"
    assert model.config.vocab_size == len(cut)
    check_padding(model, cut, family)
    save_model(model, cut, tmp_path / "m")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m")
    assert tokens_of(again.config, cut) == said
    check_padding(again, cut, family)
    padded = cut(CORPUS, padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(again.eval()(**padded)[0], expected)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_decoder_generates_the_same_text_from_disk(family: str, tmp_path: Path) -> None:
    model, tokenizer = late(family, "causal")
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)[:60]
    tokenizer.padding_side = "left"
    keep = tokenizer.convert_tokens_to_ids(words)
    cut, kept = cut_vocabulary(model, tokenizer, CORPUS, keep_ids=keep)
    cut.padding_side = "left"
    save_model(model, cut, tmp_path / "m")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    for one in (model, again):
        assert (
            one.generation_config.pad_token_id
            == cut.pad_token_id
            == kept.index(tokenizer.pad_token_id)
        )
        assert one.generation_config.eos_token_id == [cut.eos_token_id]
    batch = cut(CORPUS, padding=True, return_tensors="pt")
    found = [
        one.generate(**batch, max_new_tokens=6, do_sample=False).tolist() for one in (model, again)
    ]
    assert found[0] == found[1]
