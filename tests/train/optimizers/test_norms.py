"""Norms of whole tensors, and optimizers that live by them: two ranks are one process."""

import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file
from torch import Tensor, nn
from train.optimizers.two_ranks import MADE, fitted, model, optimized, rank

from leanformer.train.checkpoints import checkpoint
from leanformer.train.optimizers.norms import gradient_piece, local_piece, whole_norms


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    # imported once, by the process that the ranks are forked from
    multiprocessing.set_forkserver_preload(
        ["torch.distributed.fsdp", "leanformer.models.tiny", "leanformer.train"]
    )
    mp.start_processes(rank, (folder,), nprocs=2, start_method="forkserver")
    return load_file(folder / "found.safetensors")


@pytest.mark.parametrize("name", MADE)
def test_two_ranks_train_as_one_process_does(name: str, found: dict[str, Tensor]) -> None:
    network = model()
    optimizer = optimized(network, name)
    started = model().state_dict()
    for parameter, tensor in network.state_dict().items():
        sharded = found[f"{name}.whole.{parameter}"]
        torch.testing.assert_close(sharded, tensor, rtol=1e-12, atol=1e-14)
        assert not torch.equal(tensor, started[parameter])
    states = checkpoint.optimizer_tensors(optimizer)
    prefix = f"{name}.whole.state."
    assert {key for key in found if key.startswith(prefix)} == {prefix + key for key in states}
    for entry, tensor in states.items():
        torch.testing.assert_close(found[prefix + entry], tensor, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("zero", [0, 1, 3])
def test_the_loop_trains_by_lamb_on_two_ranks_as_on_one(
    zero: int, found: dict[str, Tensor]
) -> None:
    for name, tensor in fitted(None).items():
        torch.testing.assert_close(found[f"zero{zero}.{name}"], tensor, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", MADE)
def test_norms_of_the_pieces_alone_would_be_found_out(name: str, found: dict[str, Tensor]) -> None:
    network = model()
    optimized(network, name)
    pairs = [(found[f"{name}.local.{key}"], one) for key, one in network.state_dict().items()]
    errors = [float((sharded - one).abs().max()) for sharded, one in pairs]
    assert max(errors) > 1e-3


@pytest.mark.parametrize("name", MADE)
def test_a_step_needs_one_all_reduce_per_group(name: str, found: dict[str, Tensor]) -> None:
    """Three steps; of the two groups, matrices and the rest, both have tensors with a ratio."""
    assert found[f"{name}.whole.reduced"].item() == 3 * 2
    assert found[f"{name}.local.reduced"].item() == 0


@pytest.mark.parametrize("layout", ["rows", "columns", "replicated", "addends", "plain"])
def test_a_norm_is_that_of_the_whole_in_any_layout(layout: str, found: dict[str, Tensor]) -> None:
    torch.manual_seed(1)
    expected = torch.randn(5, 3, dtype=torch.float64).norm()
    torch.testing.assert_close(found[f"norm.{layout}"], expected, rtol=1e-14, atol=0)


def test_norms_of_ordinary_tensors_keep_their_order_and_are_at_least_fp32() -> None:
    tensors = [
        torch.tensor([3.0, 4.0], dtype=torch.bfloat16),
        torch.tensor([[6.0, 8.0]], dtype=torch.float64),
        torch.empty(0, 3),
        torch.full((70_000,), 2.0, dtype=torch.float16),
    ]
    norms = whole_norms(tensors)
    assert [norm.dtype for norm in norms] == [torch.float32, torch.float64] + 2 * [torch.float32]
    assert [norm.item() for norm in norms] == pytest.approx([5.0, 10.0, 0.0, 2 * 70_000**0.5])
    assert whole_norms([]) == []


def test_the_piece_of_an_ordinary_tensor_is_the_tensor() -> None:
    tensor = torch.ones(2)
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = tensor
    assert local_piece(tensor) is tensor
    assert gradient_piece(weight) is tensor


def test_a_gradient_in_addends_is_added(found: dict[str, Tensor]) -> None:
    torch.testing.assert_close(found["gradient"], torch.full((5, 3), 3.0, dtype=torch.float64))
