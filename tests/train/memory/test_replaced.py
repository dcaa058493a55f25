import pytest
from torch import nn

from leanformer.train.memory.replaced import replaced


def test_attributes_come_back_in_the_reverse_order_also_after_an_error() -> None:
    layer = nn.Linear(2, 2)
    layer.note = "own"  # type: ignore[assignment]
    with pytest.raises(KeyError), replaced() as replace:
        replace(layer, "forward", len)
        replace(layer, "forward", max)
        replace(layer, "note", "other")
        assert layer.forward is max
        raise KeyError
    assert "forward" not in vars(layer)
    assert layer.note == "own"
