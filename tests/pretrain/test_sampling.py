import torch
from transformers import BloomConfig, BloomForCausalLM

from leanformer.data import Encoded
from leanformer.models.tiny import tiny_model
from leanformer.pretrain import Samples
from leanformer.pretrain.sampling import prompts_of, settings_of, write_samples


def test_texts_are_the_same_for_a_seed_and_chance_goes_on_as_before() -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")
    asked = Samples(prompts=("the fox", "my card"), tokens=5)
    torch.manual_seed(3)
    first = write_samples(model, tokenizer, asked, asked.prompts, 0)
    drawn = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), drawn)
    assert write_samples(model, tokenizer, asked, asked.prompts, 0) == first
    assert [one["prompt"] for one in first] == ["the fox", "my card"]
    assert write_samples(model, tokenizer, asked, asked.prompts, 1) != first


def test_prompts_that_fill_the_model_are_cut_and_empty_ones_left_out() -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")  # 64 positions
    prompts = ("the fox " * 60, "")
    (found,) = write_samples(model, tokenizer, Samples(tokens=9), prompts, 0)
    assert len(tokenizer(found["text"])["input_ids"]) <= 3


def test_a_model_whose_positions_have_no_end_writes_as_much_as_is_asked() -> None:
    _, tokenizer = tiny_model("gpt2", head="causal")
    config = BloomConfig(vocab_size=len(tokenizer), hidden_size=8, n_layer=1, n_head=2)
    torch.manual_seed(0)
    model = BloomForCausalLM(config)
    (found,) = write_samples(model, tokenizer, Samples(tokens=3), ("the fox " * 60,), 0)
    assert found["prompt"] == "the fox " * 60
    assert found["text"]


def test_texts_begin_as_asked_or_as_held_out_documents_do() -> None:
    _, tokenizer = tiny_model("gpt2", head="causal")
    end = tokenizer.eos_token_id
    texts = ("the fox jumps", "my card", "a", "b")
    ids = [[*tokenizer(text)["input_ids"], end] for text in texts]
    held = Encoded([{"input_ids": one} for one in ids], None, 0, 0, "causal-lm")
    assert prompts_of(Samples(), tokenizer, held) == ("the fox jumps", "my card", "a")
    assert prompts_of(Samples(prompts=("x",)), tokenizer, held) == ("x",)
    assert prompts_of(Samples(tokens=0), tokenizer, held) == ()
    assert prompts_of(Samples(prompts=("x",), tokens=0), tokenizer, held) == ()
    assert prompts_of(Samples(), tokenizer, None) == ()


def test_texts_do_not_begin_in_the_middle_of_a_long_document() -> None:
    _, tokenizer = tiny_model("gpt2", head="causal")
    ids = [tokenizer(text)["input_ids"] for text in ("the fox", "jumps", "over", "my card")]
    ids[2].append(tokenizer.eos_token_id)  # the first three are one document
    held = Encoded([{"input_ids": one} for one in ids], None, 0, 0, "causal-lm")
    assert prompts_of(Samples(), tokenizer, held) == ("the fox", "my card")


def test_a_model_keeps_how_its_texts_are_drawn() -> None:
    _, tokenizer = tiny_model("gpt2", head="causal")
    found = settings_of(Samples(temperature=0.5, top_k=7), tokenizer)
    assert (found.do_sample, found.temperature, found.top_k) == (True, 0.5, 7)
    assert found.eos_token_id == tokenizer.eos_token_id
    assert found.pad_token_id is not None
