import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from leanformer.numerics.backward import runs_again


def test_a_checkpointed_function_runs_again_in_the_backward_pass() -> None:
    seen: list[bool] = []

    def square(x: Tensor) -> Tensor:
        seen.append(runs_again())
        return x * x

    x = torch.ones(3, requires_grad=True)
    kept: Tensor = checkpoint(square, x, use_reentrant=False)
    kept.sum().backward()  # type: ignore[no-untyped-call]
    assert seen == [False, True]
    assert not runs_again()
