"""The whole way is run by the tests of `pack` and `pack-sparse`."""

import torch
from safetensors.torch import save_file
from torch import nn

from leanformer.measure.rewritten import stored, unchanged


def test_the_proof_counts_the_weights_and_not_their_names(tmp_path):
    save_file({"codes": torch.zeros(100, dtype=torch.uint8)}, tmp_path / "model.safetensors")
    proof = stored(tmp_path, {"codes": 90, "scales": 10}, before=400)
    header = (tmp_path / "model.safetensors").stat().st_size - 100
    assert (proof.after, proof.asked, proof.ok) == (100 + header, 100, True)
    assert proof.note == f"90 codes, 10 scales, {header} header"
    assert not stored(tmp_path, {"codes": 98}, before=400).ok
    assert stored(tmp_path, {"codes": 99}, before=400).ok
    assert not stored(tmp_path, {"codes": 100}, before=100).ok


def test_a_tensor_that_differs_is_named():
    model = nn.Linear(2, 3)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert unchanged(state, model).ok
    model.bias.data[0] += 1e-6
    assert unchanged(state, model).note == "bias"
    assert unchanged({**state, "other": torch.zeros(1)}, nn.Linear(2, 3)).after >= 1
