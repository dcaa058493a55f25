import pytest

from leanformer.quantize.fixed_bits import FixedBits


def test_each_layer_gets_its_own_in_order():
    found = FixedBits(bits=(8, 2)).choose(None, {"first": [], "second": []}, None, None)
    assert [(one.layer, one.bits, one.sensitivity) for one in found] == [
        ("first", 8, None),
        ("second", 2, None),
    ]


def test_refusals():
    with pytest.raises(ValueError, match=r"bits\[1\]: 9 is not between 2 and 8"):
        FixedBits(bits=(8, 9))
    with pytest.raises(ValueError, match="bits: 2 are listed for 1 layers"):
        FixedBits(bits=(8, 2)).choose(None, {"first": []}, None, None)
