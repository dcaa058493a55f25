import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from leanformer.data import IGNORE
from leanformer.train.memory.chunked_loss import chunked_loss
from leanformer.train.tasks.cross_entropy import cross_entropy_sum


@given(
    targets=st.integers(0, 9),
    tokens=st.integers(0, 12),
    bias=st.booleans(),
    scale=st.floats(0.1, 10),
)
@settings(max_examples=40, deadline=None)
def test_it_is_the_cross_entropy_of_all_logits(
    targets: int, tokens: int, bias: bool, scale: float
) -> None:
    torch.manual_seed(targets)
    head = nn.Linear(4, 7, bias=bias).double()
    hidden = torch.randn(targets, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 7, (targets,))
    labels[1:2] = IGNORE
    inputs = [hidden, *head.parameters()]
    loss = chunked_loss(head, list(head.parameters()), hidden, labels, cross_entropy_sum, tokens)
    plain = cross_entropy_sum(head(hidden), labels)
    torch.testing.assert_close(loss, plain)
    ours, theirs = (torch.autograd.grad(scale * one, inputs) for one in (loss, plain))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


def test_its_gradient_is_that_of_differences() -> None:
    head = nn.Linear(3, 5).double()
    hidden = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 4, IGNORE, 2])

    def loss(hidden: Tensor, weight: Tensor) -> Tensor:
        with torch.no_grad():
            head.weight.copy_(weight)
        return chunked_loss(head, [head.weight], hidden, labels, cross_entropy_sum, 2)

    assert torch.autograd.gradcheck(lambda h: loss(h, head.weight.detach()), (hidden,))
