import copy

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from leanformer.quantize.activations import MovingAverage


def q8bert(x, mean):
    """S = 127 / EMA; round(clamp(x S, ±127)) / S, as in the paper."""
    scale = 127 / mean
    return (x * scale).round().clamp(-127, 127) / scale


def batches(count):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 7, generator=generator) * (index + 1) for index in range(count)]


def test_it_is_q8bert_in_training_and_evaluation():
    data = batches(4)
    module = MovingAverage(decay=0.9).build(7).train()
    mean = None
    for x in data:
        largest = float(x.abs().max())
        mean = largest if mean is None else 0.9 * mean + 0.1 * largest
        torch.testing.assert_close(module(x), q8bert(x, mean), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(module.bound, torch.tensor(mean))
    torch.testing.assert_close(module.eval()(data[0]), q8bert(data[0], mean))


def test_it_agrees_with_torch():
    x = batches(1)[0]
    module = MovingAverage().build(7).train()
    scale = float(x.abs().max()) / 127
    expected = torch.fake_quantize_per_tensor_affine(x, scale, 0, -127, 127)
    torch.testing.assert_close(module(x), expected)


def test_the_first_batch_starts_the_mean_and_evaluation_does_not_move_it():
    first, second, third = batches(3)
    module = MovingAverage().build(7)
    assert module.grid() is None
    assert torch.equal(module.eval()(first), first)  # no range is known yet
    module.train()(first)
    assert module.bound == first.abs().max()
    module.eval()(third)
    assert module.bound == first.abs().max()
    module.train()(second)
    assert first.abs().max() < module.bound < 1.001 * first.abs().max()
    assert module.grid().scale == module.bound / 127


def test_until_the_start_step_it_only_observes():
    data = batches(4)
    module = MovingAverage(decay=0.5, start_step=2).build(7).train()
    assert torch.equal(module(data[0]), data[0])
    assert torch.equal(module(data[1]), data[1])
    assert torch.equal(module.eval()(data[1]), data[1])
    assert not torch.equal(module.train()(data[2]), data[2])
    largest = [float(x.abs().max()) for x in data]
    expected = 0.5 * (0.5 * largest[0] + 0.5 * largest[1]) + 0.5 * largest[2]
    torch.testing.assert_close(module.bound, torch.tensor(expected))


def test_its_state_is_saved_and_goes_on():
    data = batches(3)
    module = MovingAverage(decay=0.9, start_step=1).build(7).train()
    module(data[0])
    again = MovingAverage(decay=0.9, start_step=1).build(7).train()
    again.load_state_dict(copy.deepcopy(module.state_dict()))
    for x in data[1:]:
        assert torch.equal(module(x), again(x))
    assert torch.equal(module.bound, again.bound)


def test_what_is_clipped_gets_no_gradient():
    module = MovingAverage().build(3).train()
    module(torch.ones(1, 3))
    x = torch.tensor([[0.5, 1.0, 2.0]], requires_grad=True)
    module.eval()(x).sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0, 0.0]]


def test_refusals():
    with pytest.raises(ValueError, match=r"decay: 1.0 is not at least 0 and below 1"):
        MovingAverage(decay=1.0)
    with pytest.raises(ValueError, match="start_step: -1 is not at least 0"):
        MovingAverage(start_step=-1)
    with pytest.raises(ValueError, match="bits: 1 is not between 2 and 8"):
        MovingAverage(bits=1)
    module = MovingAverage().build(2).train()
    with pytest.raises(ValueError, match="largest of a batch is nan; lower learning_rate"):
        module(torch.tensor([[1.0, float("nan")]]))
    assert module.passes == 0


def test_a_checkpointed_layer_observes_once_and_rounds_as_it_did():
    results = []
    for checkpointed in (False, True):
        module = MovingAverage(decay=0.5).build(7).train()
        slopes = []
        for x in batches(3):
            x = x.requires_grad_()
            kept = checkpoint(module, x, use_reentrant=False) if checkpointed else module(x)
            kept.square().sum().backward()
            slopes.append(x.grad)
        results.append((module.bound, module.passes, slopes))
    (bound, passes, slopes), (bound_again, passes_again, slopes_again) = results
    assert passes == passes_again == 3
    assert torch.equal(bound, bound_again)
    assert all(map(torch.equal, slopes, slopes_again))
