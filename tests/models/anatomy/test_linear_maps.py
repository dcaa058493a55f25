import pytest

from leanformer.models.anatomy.linear_maps import linear_maps
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model


@pytest.mark.parametrize("family", FAMILIES)
def test_they_are_those_of_the_layers(family: str) -> None:
    model, _ = tiny_model(family)
    found = linear_maps(model, (), "keep")
    assert len(found) % model.config.num_hidden_layers == 0
    assert all(module.weight.dim() == 2 for module in found.values())
    assert not any("embed" in name or name.startswith("classifier") for name in found)
    one = next(iter(found))
    assert linear_maps(model, (one,), "keep").keys() == found.keys() - {one}
    with pytest.raises(ValueError, match="keep: no layer is named nowhere"):
        linear_maps(model, ("nowhere",), "keep")
    with pytest.raises(ValueError, match="keep: it names every linear layer of"):
        linear_maps(model, tuple(found), "keep")
