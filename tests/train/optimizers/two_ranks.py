"""Two processes that train one sharded model: what a rank does, and the model without ranks."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from train.toy import FAST, toy

from leanformer.train import Supervised, fit
from leanformer.train.checkpoints import checkpoint
from leanformer.train.optimizers import Lamb, Lars
from leanformer.train.optimizers.interface import grouped
from leanformer.train.optimizers.norms import gradient_piece, local_piece, whole_norms
from leanformer.train.parallel import Parallel

MADE = {
    "lamb": Lamb(learning_rate=0.05, weight_decay=0.1),
    "lamb-looped": Lamb(learning_rate=0.05, weight_decay=0.1, implementation="for-loop"),
    "lars": Lars(learning_rate=5.0, weight_decay=0.1, trust_coefficient=0.02),
}
STEPS = 3


def model() -> nn.Module:
    """Of sizes that two ranks cannot share evenly; one has nothing of the last layer."""
    torch.manual_seed(0)
    layers = nn.Embedding(9, 7), nn.Linear(7, 5), nn.LayerNorm(5), nn.Linear(5, 1)
    return nn.Sequential(*layers).double()


def optimized(network: nn.Module, name: str) -> torch.optim.Optimizer:
    """The optimizer after three steps."""
    optimizer = MADE[name].build(grouped([network]))
    for step in range(STEPS):
        ids = torch.arange(8).roll(step).reshape(2, 4)
        network(ids).sin().pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def local_norms(tensors: Any, like: Any = None) -> list[Tensor]:
    """The fault that the tests must find: each rank takes the norm of its piece."""
    return [torch.linalg.vector_norm(local_piece(tensor)) for tensor in tensors]


def rank(place: int, folder: Path, ranks: int = 2) -> None:
    """What each process does; the first one writes what it found."""
    store = dist.FileStore(str(folder / "store"), ranks)
    dist.init_process_group("gloo", store=store, rank=place, world_size=ranks)
    found: dict[str, Tensor] = {}
    mesh = init_device_mesh("cpu", (ranks,))
    for name in MADE:
        for fault in (False, True):
            network = model()
            for layer in (*network, network):
                fully_shard(layer, mesh=mesh)
            norms = f"leanformer.train.optimizers.{name.split('-')[0]}.whole_norms"
            wrong = mock.patch(norms, local_norms) if fault else nullcontext()
            counted = mock.patch.object(dist, "all_reduce", wraps=dist.all_reduce)
            with wrong, counted as reduced:
                optimizer = optimized(network, name)
            key = f"{name}.{'local' if fault else 'whole'}"
            found[f"{key}.reduced"] = torch.tensor(reduced.call_count)
            for parameter, tensor in network.state_dict().items():
                found[f"{key}.{parameter}"] = tensor.full_tensor().contiguous()
            states = checkpoint.optimizer_tensors(optimizer).items()
            found |= {
                f"{key}.state.{entry}": whole(tensor).contiguous() for entry, tensor in states
            }
    found |= kinds_of_layout(mesh)
    found |= {
        f"zero{zero}.{name}": tensor for zero in (0, 1, 3) for name, tensor in fitted(zero).items()
    }
    if place == 0:
        save_file(found, folder / "found.safetensors")
    dist.destroy_process_group()


def fitted(zero: int | None) -> dict[str, Tensor]:
    """The weights of a transformer that the one loop has trained by LAMB; None = on no ranks."""
    network, encoded = toy(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    setup = replace(FAST, epochs=1, optimizer=Lamb(learning_rate=0.02))
    if zero is not None:
        setup = replace(setup, parallel=Parallel(data=2, zero=zero))
    fit(network.double(), encoded, Supervised("classification"), setup)
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


def kinds_of_layout(mesh: Any) -> dict[str, Tensor]:
    """Norms of one tensor in each layout of DTensors."""
    torch.manual_seed(1)
    tensor = torch.randn(5, 3, dtype=torch.float64)
    layouts = {
        "rows": distribute_tensor(tensor, mesh, [Shard(0)]),
        "columns": distribute_tensor(tensor, mesh, [Shard(1)]),
        "replicated": distribute_tensor(tensor, mesh, [Replicate()]),
        "addends": DTensor.from_local(tensor / mesh.size(), mesh, [Partial()]),
        "plain": tensor,
    }
    norms = whole_norms(list(layouts.values()))
    found = {f"norm.{name}": norm for name, norm in zip(layouts, norms, strict=True)}
    weight = nn.Parameter(layouts["replicated"])
    ones = torch.full_like(tensor, 1 + dist.get_rank())  # 1 + 2 on two ranks
    weight.grad = DTensor.from_local(ones, mesh, [Partial()])
    return found | {"gradient": gradient_piece(weight)}


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor that may be sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
