import pytest

from leanformer.distill.objective import Dims, Objective, dims_of
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sizes_of_every_family_are_read(family: str) -> None:
    model, _ = tiny_model(family, head="embedding")
    layers = 4 if family == "modernbert" else 3
    assert dims_of(model) == Dims(layers=layers, hidden=32, heads=(4,) * layers)


def test_heads_of_cut_layers_are_read() -> None:
    model, _ = tiny_model("bert")
    keep_heads(model, [[0, 2], [1], [0, 1, 2, 3]])
    assert dims_of(model).heads == (2, 1, 4)


def test_an_objective_must_build() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Objective()  # type: ignore[abstract]
