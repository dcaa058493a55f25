import copy
import re

import pytest

from leanformer.core.proof import NoEffect, require
from leanformer.models.anatomy.shape import Shape, shape_of
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model
from leanformer.prune.structured.proof import prove_smaller, prove_units


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_removed_is_counted(family: str) -> None:
    model, _ = tiny_model(family)
    before = copy.deepcopy(model)
    keep_layers(model, [0, 1])
    proofs = {proof.claim: proof for proof in require(prove_smaller(before, model))}
    parameters = proofs["parameters of the layers"]
    shapes = [shape_of(shown).encoder_parameters for shown in (before, model)]
    assert [parameters.before, parameters.after] == shapes
    size = proofs["bytes of the weights"]
    assert size.after == 4 * sum(parameter.numel() for parameter in model.parameters())
    operations = proofs["operations at 1 x 128 tokens"]
    assert operations.before is not None
    assert 0 < operations.after < operations.before
    clock = proofs["latency at 1 x 128 tokens"]
    assert clock.asked == pytest.approx(clock.before * operations.after / operations.before)  # type: ignore[operator]
    assert "too few FLOPs were removed" in clock.note


def test_a_model_that_is_the_same_fails_by_every_count() -> None:
    model, _ = tiny_model("bert")
    with pytest.raises(NoEffect) as caught:
        require(prove_smaller(model, copy.deepcopy(model)))
    claims = ("parameters of the layers", "bytes of the weights", "operations at 1 x 128 tokens")
    for claim in claims:
        assert re.search(rf"{claim}: was (\S+) and is \1", str(caught.value))


def test_zeros_are_no_proof() -> None:
    model, _ = tiny_model("bert")
    zeroed = copy.deepcopy(model)
    for layer in zeroed.bert.encoder.layer:
        layer.output.dense.weight.data[:, :24] = 0
    with pytest.raises(NoEffect, match="parameters of the layers"):
        require(prove_smaller(model, zeroed))
    for index in range(3):
        keep_neurons(zeroed, {index: range(24, 48)})
    assert all(proof.ok for proof in prove_smaller(model, zeroed))


def shape(heads: tuple[int, ...], ffn: tuple[int, ...]) -> Shape:
    return Shape(
        heads=heads, kv_heads=heads, ffn=ffn, head_dim=8, hidden=32, vocabulary=9,
        parameters=1, encoder_parameters=1,
    )  # fmt: skip


WHOLE = shape((4, 4, 4), (48, 48, 48))


@pytest.mark.parametrize(
    ("after", "failed"),
    [
        (shape((2, 2), (16, 32)), []),
        (shape((2, 2, 2), (16, 16, 16)), ["layers"]),
        (shape((4, 4), (24, 24)), ["attention heads"]),
        (shape((2, 2), (48, 48)), ["FFN neurons"]),
        (shape((2, 2), (1, 1)), ["FFN neurons"]),
    ],
)
def test_another_shape_than_asked_is_no_proof(after: Shape, failed: list[str]) -> None:
    proofs = prove_units(WHOLE, after, [0, 2], heads=0.5, ffn=0.5, multiple=16)
    assert [proof.asked for proof in proofs] == [2, 4, 48]
    assert [proof.claim for proof in proofs if not proof.ok] == failed


def test_what_was_not_asked_for_needs_no_proof() -> None:
    proofs = prove_units(
        WHOLE, shape((4,) * 3, (24,) * 3), [0, 1, 2], heads=1.0, ffn=0.5, multiple=8
    )
    assert [proof.claim for proof in proofs] == ["FFN neurons"]
