import pytest

from leanformer.distill.objective import Dims, Objective, dims_of
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sizes_of_every_family_are_read(family: str) -> None:
    model, _ = tiny_model(family, head="embedding")
    assert dims_of(model) == Dims(layers=4 if family == "modernbert" else 3, hidden=32)


def test_an_objective_must_build() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Objective()  # type: ignore[abstract]
