import pytest
import torch
from torch import nn
from torch.ao.quantization import MovingAverageMinMaxObserver

from leanformer.calibrate.ranges import observe_ranges
from leanformer.models.tiny import tiny_model


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.unused = nn.Linear(4, 6), nn.Linear(6, 2), nn.Linear(2, 2)

    def forward(self, x, attention_mask=None):
        return self.second(torch.relu(self.first(x)))


def batches(count=5):
    generator = torch.Generator().manual_seed(1)
    return [{"x": torch.randn(3, 7, 4, generator=generator)} for _ in range(count)]


def test_min_max_is_the_range_of_each_reached_layers_input():
    data = batches()
    ranges = observe_ranges(Two(), data)
    x = torch.stack([batch["x"] for batch in data])
    assert set(ranges) == {"first", "second"}
    assert ranges["first"].low == x.min()
    assert ranges["first"].high == x.max()
    assert ranges["second"].low == 0
    torch.testing.assert_close(ranges["first"].channel, x.abs().flatten(0, 2).amax(0))


def test_padding_is_not_looked_at():
    x = torch.randn(2, 3, 4)
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    x[0, 2] = 1e6
    ranges = observe_ranges(Two(), [{"x": x, "attention_mask": mask}])
    assert ranges["first"].high < 100


def test_moving_average_equals_torchs_observer():
    data = batches()
    observer = MovingAverageMinMaxObserver(averaging_constant=0.1)
    for batch in data:
        observer(batch["x"])
    found = observe_ranges(Two(), data, method="moving-average")["first"]
    assert found.low == pytest.approx(float(observer.min_val))
    assert found.high == pytest.approx(float(observer.max_val))


def test_a_search_is_given_a_histogram_of_the_inputs_within_the_outer_range():
    data, seen = batches(), []

    def search(counts, low, high):
        seen.append((counts, low, high))
        return low / 2, high / 2

    outer, inner = observe_ranges(Two(), data), observe_ranges(Two(), data, method=search)
    for (counts, low, high), name in zip(seen, outer, strict=True):
        assert (low, high) == (outer[name].low, outer[name].high)
        assert (inner[name].low, inner[name].high) == (low / 2, high / 2)
        assert counts.sum() == 5 * 3 * 7 * len(outer[name].low_I)


def test_divisors_apply_before_the_range_is_taken():
    halved = observe_ranges(Two(), batches(), divisors={"first": torch.full((4,), 2.0)})
    assert halved["first"].high == pytest.approx(observe_ranges(Two(), batches())["first"].high / 2)


def test_the_model_keeps_its_mode_and_its_hooks():
    model = tiny_model("bert")[0].train()
    ids = torch.ones(1, 5, dtype=torch.long)
    observe_ranges(model, [{"input_ids": ids, "attention_mask": ids}])
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_refusals():
    with pytest.raises(ValueError, match="batches: none to observe"):
        observe_ranges(Two(), [])
    with pytest.raises(ValueError, match="layers: no linear layer is named third"):
        observe_ranges(Two(), batches(), layers=("third",))
    with pytest.raises(ValueError, match="first: its inputs are not finite"):
        observe_ranges(Two(), [{"x": torch.full((1, 2, 4), torch.nan)}])
