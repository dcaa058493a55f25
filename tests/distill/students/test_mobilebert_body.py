import dataclasses
from typing import Any

import pytest
import torch
from distill.students.given import inputs
from torch import nn
from transformers import MobileBertConfig, MobileBertModel

from leanformer.distill.students.mobilebert_body import (
    BodyShape,
    MobileBertBody,
    NoNorm,
    inverted_bottleneck,
)
from leanformer.distill.students.mobilebert_names import body_state

SMALL = BodyShape(
    vocabulary=50, positions=20, embedding=6, hidden=20, within=8, layers=3, heads=2, ffn=12,
    stacked=3,
)  # fmt: skip
TEACHER = inverted_bottleneck(50, positions=20, embedding=6, hidden=20, within=40, layers=2,
                              heads=4, ffn=60)  # fmt: skip


def theirs(shape: BodyShape) -> Any:
    """transformers' own, in float64, with every weight random."""
    config = MobileBertConfig(
        vocab_size=shape.vocabulary,
        max_position_embeddings=shape.positions,
        embedding_size=shape.embedding,
        hidden_size=shape.hidden,
        intra_bottleneck_size=shape.within,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.ffn,
        num_feedforward_networks=shape.stacked,
        key_query_shared_bottleneck=shape.attention == "shared",
        normalization_type=shape.norm.replace("-", "_"),
        hidden_act=shape.activation,
    )
    model = MobileBertModel(config)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-12  # theirs mixes 1e-5 and 1e-12; Google's own is 1e-12 throughout
    if shape.attention == "raw":  # theirs builds queries for `within` and gives them `hidden`
        for layer in model.encoder.layer:
            layer.attention.self.query = nn.Linear(shape.hidden, shape.within)
            layer.attention.self.key = nn.Linear(shape.hidden, shape.within)
    generator = torch.Generator().manual_seed(0)
    model = model.double().eval()
    for parameter in model.parameters():
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = 0.3 * values + (parameter.dim() == 1)
    return model


@pytest.mark.parametrize(
    "shape",
    [
        SMALL,
        dataclasses.replace(SMALL, stacked=1, heads=4),
        dataclasses.replace(SMALL, norm="layer-norm", activation="gelu"),
        TEACHER,
    ],
    ids=["student", "one FFN", "layer norm", "inverted bottleneck"],
)
@pytest.mark.parametrize("width", [13, 8, 1])
def test_it_is_transformers_mobilebert(shape: BodyShape, width: int) -> None:
    model = theirs(shape)
    body = MobileBertBody(shape).double().eval()
    body.load_state_dict(body_state(model.state_dict()), strict=True)
    batch = inputs(50, width)
    types = torch.arange(2 * width).reshape(2, width) % 2
    with torch.no_grad():
        expected = model(**batch, token_type_ids=types, output_hidden_states=True).hidden_states
        found = body(batch["input_ids"], batch["attention_mask"].bool(), types)
    assert len(found) == len(expected) == shape.layers + 1
    for ours, other in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-10, atol=1e-10)


def test_token_types_are_0_where_none_are_given() -> None:
    body, batch = MobileBertBody(SMALL).eval(), inputs(50)
    ids, keep = batch["input_ids"], batch["attention_mask"].bool()
    with torch.no_grad():
        assert torch.equal(body(ids, keep)[-1], body(ids, keep, torch.zeros_like(ids))[-1])
        assert not torch.equal(body(ids, keep)[-1], body(ids, keep, torch.ones_like(ids))[-1])


def test_the_trigram_sees_one_neighbour_each_side() -> None:
    body = MobileBertBody(dataclasses.replace(SMALL, layers=0)).double()
    ids = torch.arange(5, 12)[None]
    other = ids.clone()
    other[0, 3] = 40
    with torch.no_grad():
        keep = torch.ones_like(ids).bool()
        change = (body(ids, keep)[0] - body(other, keep)[0]).abs().sum(-1)[0]
    assert (change > 0).tolist() == [False, False, True, True, True, False, False]


@pytest.mark.parametrize("shape", [SMALL, TEACHER], ids=["student", "inverted bottleneck"])
def test_padding_is_not_looked_at(shape: BodyShape) -> None:
    body = MobileBertBody(shape).double()
    ids = inputs(50)["input_ids"][:1]
    keep = torch.arange(13)[None] < 7
    other = ids.clone()
    other[0, 8:] = 9  # position 7 is a neighbour of the last real token in its trigram
    with torch.no_grad():
        for ours, changed in zip(body(ids, keep), body(other, keep), strict=True):
            torch.testing.assert_close(ours[0, :7], changed[0, :7], rtol=0, atol=0)


@pytest.mark.parametrize("shape", [SMALL, TEACHER], ids=["student", "inverted bottleneck"])
def test_a_gradient_reaches_every_parameter(shape: BodyShape) -> None:
    body, batch = MobileBertBody(shape), inputs(50)
    body(batch["input_ids"], batch["attention_mask"].bool())[-1].square().mean().backward()
    for name, parameter in body.named_parameters():
        assert parameter.grad is not None, name
        if "key.bias" not in name:  # it cancels in the softmax
            assert parameter.grad.abs().sum() > 0, name


def test_gradients_are_those_of_the_function() -> None:
    shape = BodyShape(
        vocabulary=5, positions=4, embedding=2, hidden=4, within=2, layers=1, heads=1, ffn=3,
        stacked=2, activation="gelu",
    )  # fmt: skip
    torch.manual_seed(0)
    body = MobileBertBody(shape).double()
    ids, keep = torch.tensor([[1, 2, 3]]), torch.tensor([[True, True, False]])
    names = [name for name, _ in body.named_parameters() if "layers." in name]

    def run(*values: torch.Tensor) -> torch.Tensor:
        parts = dict(zip(names, values, strict=True))
        return torch.func.functional_call(body, parts, (ids, keep))[-1]  # type: ignore[no-any-return]

    weights = [body.get_parameter(name).detach().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(run, weights)


def test_the_norm_has_no_statistics() -> None:
    norm = NoNorm(3)
    norm.weight.data, norm.bias.data = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, 0.0])
    assert torch.equal(norm(torch.ones(2, 3)), torch.tensor([[1.0, 3.0, 3.0]] * 2))


def test_the_published_sizes() -> None:
    """transformers' MobileBertModel has 24.84 M parameters, its pooler among them; the teacher by
    hand."""
    with torch.device("meta"):
        student = MobileBertBody(BodyShape(vocabulary=30522))
        teacher = MobileBertBody(inverted_bottleneck(30522))
    count = [sum(p.numel() for p in model.parameters()) for model in (student, teacher)]
    pooler = 512 * 512 + 512
    assert round((count[0] + pooler) / 1e6, 2) == 24.84
    embeddings = 30522 * 128 + (512 + 2) * 512 + 3 * 128 * 512 + 512 + 2 * 512
    attention = 4 * (512 * 1024 + 1024) + 1024 * 1024 + 1024 + 2 * 2 * 1024
    ffn = 2 * 1024 * 4096 + 4096 + 1024 + 2 * 1024
    assert count[1] == embeddings + 24 * (attention + ffn + 1024 * 512 + 512 + 2 * 512)


def test_heads_must_divide() -> None:
    with pytest.raises(ValueError, match="within: 10 is not a multiple of the 4 heads"):
        BodyShape(vocabulary=5, within=10)
