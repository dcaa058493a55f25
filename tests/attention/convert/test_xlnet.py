"""A converted XLNet against transformers' own, in float64: both streams, memories, segments."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from convert_cases import EXACT, randomised, same_gradients
from torch import Tensor, nn
from transformers import XLNetConfig, XLNetLMHeadModel, XLNetModel

from leanformer.attention.convert import convert

LAYERS = tuple(f"layer.{n}.rel_attn" for n in range(2))


@pytest.fixture
def wide_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers' query stream takes distances of the model's type alone, and makes float32."""
    narrow = XLNetModel.relative_positional_encoding

    def wide(self: Any, *args: Any, **settings: Any) -> Tensor:
        return narrow(self, *args, **settings).to(self.dtype)

    monkeypatch.setattr(XLNetModel, "relative_positional_encoding", wide)


def xlnet(kind: Any = XLNetModel, **settings: Any) -> Any:
    """Two layers."""
    said = {
        "vocab_size": 60, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48, "dropout": 0.0,
        "mem_len": 7,
    }  # fmt: skip
    return randomised(kind(XLNetConfig(**{**said, **settings})))


def texts(length: int, *, hidden: bool, segments: bool = True) -> dict[str, Tensor]:
    """Four texts: the second may end early, the third begin late; each has two segments."""
    ids = torch.randint(5, 60, (4, length), generator=torch.Generator().manual_seed(length))
    mask, kinds = torch.ones(4, length, dtype=torch.float64), torch.zeros_like(ids)
    inputs = {"input_ids": ids}
    if hidden:
        mask[1, (length + 1) // 3 :] = 0
        mask[2, : length // 3] = 0
        inputs["attention_mask"] = mask
    if segments:
        kinds[0, length // 2 :] = kinds[2, -1:] = 1
        inputs["token_type_ids"] = kinds
    return inputs


def permuted(length: int) -> dict[str, Tensor]:
    """Three places of each text are to be predicted, in an order in which the first sees none."""
    order = torch.stack(
        [torch.randperm(length, generator=torch.Generator().manual_seed(n)) for n in range(4)]
    )
    perm_mask = (order[:, :, None] <= order[:, None]).double()
    target = torch.zeros(4, 3, length, dtype=torch.float64)
    target.scatter_(2, order.argsort(1)[:, [0, 5, 7], None], 1)
    return {"perm_mask": perm_mask, "target_mapping": target}


def same(ours: Any, theirs: Any, inputs: dict[str, Any]) -> Any:
    """Hidden states of both streams, memories and gradients are those of transformers."""
    expected = theirs(**inputs, output_hidden_states=True)
    found = ours(**inputs, output_hidden_states=True)
    for name in ("hidden_states", "mems"):
        for one, other in zip(found[name] or (), expected[name] or (), strict=True):
            torch.testing.assert_close(one, other, **EXACT)
    torch.testing.assert_close(found[0], expected[0], **EXACT)
    expected[0].square().sum().backward()
    found[0].square().sum().backward()
    same_gradients(ours, theirs)
    return expected


@pytest.mark.parametrize("length", [1, 8, 37, 300])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("segments", [False, True])
def test_it_equals_transformers_and_so_do_its_gradients(
    length: int, hidden: bool, segments: bool
) -> None:
    theirs, ours = xlnet(), xlnet()
    assert convert(ours).layers == LAYERS
    same(ours, theirs, texts(length, hidden=hidden, segments=segments))


@pytest.mark.parametrize("length", [1, 37])
@pytest.mark.parametrize("settings", [{}, {"clamp_len": 5}, {"bi_data": True}])
def test_memories_stand_before_the_text(length: int, settings: dict[str, Any]) -> None:
    theirs, ours = xlnet(**settings), xlnet(**settings)
    convert(ours)
    before = theirs(**texts(12, hidden=False), use_mems=True).mems
    assert before[0].shape == (7, 4, 32)
    same(ours, theirs, {**texts(length, hidden=True), "mems": before, "use_mems": True})


@pytest.mark.parametrize("length", [1, 37, 150])
@pytest.mark.parametrize("same_length", [False, True])
def test_a_model_that_looks_back_alone_has_no_later_distances(
    length: int, same_length: bool
) -> None:
    theirs, ours = (xlnet(attn_type="uni", same_length=same_length) for _ in range(2))
    convert(ours)
    same(ours, theirs, texts(length, hidden=False))  # of one text alone they can hide places
    inputs = {name: x[1:2] for name, x in texts(length, hidden=True).items()}
    before = theirs(**{name: x[1:2] for name, x in texts(12, hidden=False).items()}).mems
    for model in (ours, theirs):
        model.zero_grad()
    same(ours, theirs, {**inputs, "mems": before})


@pytest.mark.usefixtures("wide_positions")
@pytest.mark.parametrize("length", [9, 150])
@pytest.mark.parametrize("hidden", [False, True])
def test_both_streams_are_the_same(length: int, hidden: bool) -> None:
    theirs, ours = xlnet(), xlnet()
    convert(ours)
    before = theirs(**texts(12, hidden=False), use_mems=True).mems
    for mems in (None, before):
        inputs = {**texts(length, hidden=hidden), **permuted(length), "mems": mems}
        expected = same(ours, theirs, inputs)
        assert expected.last_hidden_state.shape == (4, 3, 32)
        for model in (ours, theirs):
            model.zero_grad()


@pytest.mark.usefixtures("wide_positions")
def test_both_streams_may_look_back_alone() -> None:
    theirs, ours = (xlnet(attn_type="uni") for _ in range(2))
    convert(ours)
    before = theirs(**{name: x[1:2] for name, x in texts(12, hidden=False).items()}).mems
    inputs = {**texts(20, hidden=True), **permuted(20)}
    inputs = {name: x[1:2] for name, x in inputs.items()}
    same(ours, theirs, {**inputs, "mems": before})
    with torch.no_grad():
        found, expected = (model(**inputs)[0] for model in (ours, theirs))
    torch.testing.assert_close(found, expected, **EXACT)


def test_a_query_stream_with_each_place_its_own() -> None:
    theirs = xlnet()
    ours = copy.deepcopy(theirs)
    convert(ours)
    generator = torch.Generator().manual_seed(0)
    h, g, r = (torch.randn(n, 3, 32, generator=generator).double() for n in (9, 9, 18))
    mask = torch.randint(2, (9, 9, 3, 1), generator=generator).double()
    found, expected = (
        model.get_submodule(LAYERS[0])(h, g, None, mask, r, None) for model in (ours, theirs)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


def test_bfloat16_stays_near() -> None:
    ours = xlnet()
    convert(ours)
    inputs = texts(37, hidden=True)
    expected = ours(**inputs).last_hidden_state
    rough = ours.to(torch.bfloat16)(**inputs).last_hidden_state
    assert rough.dtype == torch.bfloat16
    assert (rough.double() - expected).square().mean() < 2e-3 * expected.square().mean()


def test_weights_are_dropped_in_training_alone() -> None:
    ours = xlnet(dropout=0.5)
    convert(ours)
    inputs = texts(16, hidden=True)
    first = ours(**inputs).last_hidden_state
    assert torch.equal(ours(**inputs).last_hidden_state, first)
    layer = ours.get_submodule(LAYERS[0])
    layer.layer_norm = nn.Identity()  # what is dropped before it is right on average
    torch.manual_seed(0)
    h, r = torch.randn(16, 2, 32).double(), torch.randn(32, 2, 32).double()
    told = (h, None, None, None, r, None)
    exact = layer(*told)[0].detach()
    assert torch.equal(layer(*told)[0], exact)
    layer.train()
    several = torch.stack([layer(*told)[0].detach() for _ in range(2000)])
    assert not torch.equal(several[0], several[1])
    off = (several.mean(0) - exact).abs() / (several.std(0) / 2000**0.5)
    assert off.mean() < 1.5  # of a normal variable it is 0.8


def test_distances_are_projected_once_for_all_texts() -> None:
    ours = xlnet()
    layer = ours.get_submodule(convert(ours).layers[0])
    r = torch.randn(20, 1, 32).double()
    assert layer._positions(r.expand(-1, 3, -1), 10, 10).shape == (1, 4, 20, 8)
    assert layer._positions(r.repeat(1, 3, 1), 10, 10).shape == (3, 4, 20, 8)


def test_it_generates_what_it_generated() -> None:
    theirs = xlnet(XLNetLMHeadModel, pad_token_id=5)
    ours = copy.deepcopy(theirs).float()
    theirs.float()  # transformers' query stream in float64 needs another type of distances
    convert(ours)
    ids = texts(6, hidden=False)["input_ids"][:2]
    found, expected = (
        model.generate(ids, max_new_tokens=5, do_sample=False) for model in (ours, theirs)
    )
    assert torch.equal(found, expected)


def test_what_it_saves_is_the_checkpoint_that_it_was(tmp_path: Path) -> None:
    ours = xlnet().float()  # transformers loads no other type: it makes some parameters float32
    before = {name: x.data_ptr() for name, x in ours.state_dict().items()}
    inputs = texts(16, hidden=True)
    inputs["attention_mask"] = inputs["attention_mask"].float()
    expected = ours(**inputs).last_hidden_state
    convert(ours)
    assert {name: x.data_ptr() for name, x in ours.state_dict().items()} == before
    ours.save_pretrained(tmp_path)
    plain = XLNetModel.from_pretrained(tmp_path).eval()
    assert {type(plain.get_submodule(one)).__name__ for one in LAYERS} == {"XLNetRelativeAttention"}
    assert torch.equal(plain(**inputs).last_hidden_state, expected)


def test_weights_of_attention_are_refused() -> None:
    ours = xlnet()
    convert(ours)
    with pytest.raises(ValueError, match=r"output_attentions: the converted attention writes no"):
        ours(**texts(8, hidden=False), output_attentions=True)
