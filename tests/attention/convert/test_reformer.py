"""A converted Reformer against transformers' own, in float64, hidden places included."""

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from convert_cases import EXACT, randomised, same_gradients
from reformer_cases import agree, both, config, texts
from transformers import ReformerModel, ReformerModelWithLMHead
from transformers.models.reformer.modeling_reformer import LSHSelfAttention

from leanformer.attention.convert import convert, ring


@pytest.fixture
def same_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reversible layers draw as a seed is told by torch's own."""
    counts = itertools.count()

    def seed() -> int:
        return int(torch.initial_seed() + next(counts) % 4)  # two layers, two seeds each

    monkeypatch.setattr(torch, "seed", seed)


def gradients_agree(theirs: Any, ours: Any, inputs: dict[str, Any]) -> None:
    """So do all gradients, through the reversible layers."""
    for model in (ours, theirs):
        torch.manual_seed(1)
        model.train()(**inputs).last_hidden_state.square().sum().backward()
    same_gradients(ours, theirs, off=1e-8)


HASHES: list[dict[str, Any]] = [
    {},
    {"num_hashes": 3, "hash_seed": 7},
    {"num_hashes": 2, "num_buckets": [2, 4, 2]},
    {"num_buckets": None},
]


@pytest.mark.parametrize("hashes", HASHES)
@pytest.mark.parametrize("length", [3, 8, 37, 96])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("decoder", [False, True])
def test_it_equals_transformers(
    hashes: dict[str, Any], length: int, hidden: bool, decoder: bool
) -> None:
    theirs, ours = both(is_decoder=decoder, **hashes)
    agree(theirs, ours, texts(length, hidden=hidden))


@pytest.mark.usefixtures("same_seeds")
@pytest.mark.parametrize("hashes", HASHES)
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("decoder", [False, True])
def test_so_do_its_gradients(hashes: dict[str, Any], hidden: bool, decoder: bool) -> None:
    theirs, ours = both(is_decoder=decoder, **hashes)
    gradients_agree(theirs, ours, texts(96, hidden=hidden))


@pytest.mark.parametrize("decoder", [False, True])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 2), (2, 1), (3, 3)])
def test_chunks_that_are_met_twice_on_a_short_ring_count_twice(
    before: int, after: int, decoder: bool
) -> None:
    theirs, ours = both(
        is_decoder=decoder, local_num_chunks_before=before, local_num_chunks_after=after,
        lsh_num_chunks_before=before, lsh_num_chunks_after=after, lsh_attn_chunk_length=4,
    )  # fmt: skip
    for length in (8, 12, 24):
        agree(theirs, ours, texts(length, hidden=length == 24))


@pytest.mark.parametrize("rounds", [1, 2])
def test_long_texts_are_attended_to_in_groups(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "TOKENS", 20)
    theirs, ours = both(num_hashes=rounds, hash_seed=7, is_decoder=True)
    inputs = texts(96, hidden=True)
    agree(theirs, ours, inputs)
    gradients_agree(theirs, ours, inputs)
    monkeypatch.undo()
    theirs, ours = both(num_hashes=rounds, num_buckets=64)
    agree(theirs, ours, texts(1536, hidden=True))


def test_it_is_as_close_in_other_precisions_also_where_nothing_is_seen() -> None:
    inputs = texts(40, hidden=True)
    for dtype, off in ((torch.float32, 1e-3), (torch.bfloat16, 0.3)):
        theirs, ours = (model.to(dtype) for model in both(hash_seed=7, attn_layers=["local"]))
        agree(theirs, ours, inputs, rtol=off, atol=off)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 40, 32, generator=generator)
    for dtype, off in ((torch.float32, 1e-4), (torch.float16, 2e-2)):
        theirs, ours = (model.to(dtype) for model in both(hash_seed=7, is_decoder=True))
        for number in range(2):
            expected, found = (
                model.encoder.layers[number].attention.self_attention(
                    hidden.to(dtype), inputs["attention_mask"]
                )
                for model in (theirs, ours)
            )
            torch.testing.assert_close(
                found.hidden_states, expected.hidden_states, rtol=off, atol=off
            )


@pytest.mark.parametrize("hash_seed", [None, 7])
def test_steps_of_decoding_go_on_from_the_same_cache(hash_seed: int | None) -> None:
    theirs = randomised(
        ReformerModelWithLMHead(config(is_decoder=True, num_hashes=2, hash_seed=hash_seed))
    )
    ours = copy.deepcopy(theirs)
    convert(ours)
    for length in (5, 21):
        ids = texts(length, hidden=False)["input_ids"]
        said, caches = [], []
        for model in (ours, theirs):
            torch.manual_seed(1)
            first = model(ids, use_cache=True)
            caches.append(first.past_buckets_states)
            said.append([first.logits])
            for step in range(4):
                again = model(ids[:, step : step + 1], past_buckets_states=caches[-1])
                said[-1].append(again.logits)
        for one, other in zip(*said, strict=True):
            torch.testing.assert_close(one, other, **EXACT)
        for one, other in zip(*(cache.buckets_cache for cache in caches), strict=True):
            assert torch.equal(one, other)
        for one, other in zip(*(cache.states_cache for cache in caches), strict=True):
            torch.testing.assert_close(one, other, **EXACT)


def test_what_it_saves_is_the_checkpoint_that_it_was(tmp_path: Path) -> None:
    model = ReformerModelWithLMHead(config(is_decoder=True, hash_seed=7)).eval()
    before = {name: x.data_ptr() for name, x in model.state_dict().items()}
    ids = texts(24, hidden=False)["input_ids"]
    expected = model(ids).logits
    torch.manual_seed(3)
    state = torch.get_rng_state()
    layers = convert(model).layers
    assert torch.equal(torch.get_rng_state(), state)
    assert {name: x.data_ptr() for name, x in model.state_dict().items()} == before
    model.save_pretrained(tmp_path)
    plain = ReformerModelWithLMHead.from_pretrained(tmp_path).eval()
    assert type(plain.get_submodule(layers[1])) is LSHSelfAttention
    assert torch.equal(plain(ids).logits, expected)
    convert(plain)
    assert torch.equal(plain(ids).logits, model(ids).logits)
    torch.testing.assert_close(plain(ids).logits, expected)
    prompt = ids[:1, :5]
    said = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None}
    unconverted = ReformerModelWithLMHead.from_pretrained(tmp_path).eval()
    assert torch.equal(plain.generate(prompt, **said), unconverted.generate(prompt, **said))


def test_odd_buckets_are_refused_before_anything_is_changed() -> None:
    model = ReformerModel(config(num_buckets=[2, 3]))
    with pytest.raises(ValueError, match=r"num_buckets: \[2, 3\]; each is an even number"):
        convert(model)
    kinds = {type(layer.attention.self_attention).__name__ for layer in model.encoder.layers}
    assert kinds == {"LocalSelfAttention", "LSHSelfAttention"}


def test_weights_and_parts_of_chunks_are_refused() -> None:
    _, ours = both()
    for kind in ({"attn_layers": ["local"]}, {"attn_layers": ["lsh"]}):
        _, ours = both(**kind)
        with pytest.raises(ValueError, match=r"output_attentions: the converted attention writes"):
            ours(**texts(8, hidden=False), output_attentions=True)
        layer = ours.encoder.layers[0].attention.self_attention
        with pytest.raises(ValueError, match=r"hidden_states: 13 tokens are no number of chunks"):
            layer(torch.randn(1, 13, 32, dtype=torch.float64))
