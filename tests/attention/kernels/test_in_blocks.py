import torch

from leanformer.attention.kernels.in_blocks import GlobalKeys


def test_global_keys_are_the_tokens_at_their_positions() -> None:
    x = torch.randn(2, 3, 20, 4)
    global_keys = GlobalKeys(x, torch.tensor([1, 7, 8, 19]))
    for some in ([1, 7, 8, 19], [7], [8, 19], []):
        assert torch.equal(global_keys.gather(torch.tensor(some, dtype=torch.long)), x[:, :, some])


def test_the_gradient_of_some_global_keys_is_as_large_as_they_are() -> None:
    """Each block of a text takes its own: were it as large as the text, the sum were quadratic."""
    x = torch.randn(1, 1, 1000, 4, requires_grad=True)
    global_keys = GlobalKeys(x, torch.tensor([0, 5, 999]))
    taken = global_keys.gather(torch.tensor([0, 5]))
    assert taken.grad_fn is not None
    (whole, _), *_ = taken.grad_fn.next_functions
    assert whole is global_keys.x_BHGD.grad_fn
    taken.sum().backward()
    assert x.grad is not None
    assert x.grad.nonzero()[:, 2].unique().tolist() == [0, 5]
