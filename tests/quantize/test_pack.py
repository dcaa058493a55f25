"""The whole step is run by the recipes in test_quantize_aware.py."""

import pytest
import torch
from quantize.rounding import Blocks
from quantize.test_quantize_aware import workspace_of
from safetensors.torch import save_file

from leanformer.core.step import NoEffect
from leanformer.quantize import pack
from leanformer.quantize.fake import rounded_layers
from leanformer.quantize.pack import Pack, stored
from leanformer.quantize.quantize_aware import QuantizeAware


def test_the_proof_counts_the_weights_and_not_their_names(tmp_path):
    save_file({"codes": torch.zeros(100, dtype=torch.uint8)}, tmp_path / "model.safetensors")
    proof = stored(tmp_path, {"codes": 90, "scales": 10}, before=400)
    header = (tmp_path / "model.safetensors").stat().st_size - 100
    assert (proof.after, proof.asked, proof.ok) == (100 + header, 100, True)
    assert proof.note == f"90 codes, 10 scales, {header} header"
    assert not stored(tmp_path, {"codes": 98}, before=400).ok
    assert stored(tmp_path, {"codes": 99}, before=400).ok
    assert not stored(tmp_path, {"codes": 100}, before=100).ok


def test_the_workspace_goes_on_with_the_loaded_model(tmp_path):
    workspace = QuantizeAware(weights=Blocks(bits=2)).apply(workspace_of(tmp_path))
    assert rounded_layers(workspace.model)
    done = Pack().apply(workspace)
    assert not rounded_layers(done.model)
    assert done.saved == tmp_path / "model"
    sizes = done.proofs[0]
    header = int(sizes.note.split()[-2])
    assert sizes.after == sizes.asked + header


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (1e-6, r"tensors that packing changed: is 1, asked for 0 .classifier.bias"),
        (1.0, r"largest change of an output by packing: is 1 "),
    ],
)
def test_a_model_that_is_another_fails(tmp_path, monkeypatch, change, message):
    workspace = QuantizeAware(weights=Blocks()).apply(workspace_of(tmp_path))
    loaded = pack._loaded

    def other(kind, folder):
        model = loaded(kind, folder)
        model.classifier.bias.data += change
        return model

    monkeypatch.setattr(pack, "_loaded", other)
    with pytest.raises(NoEffect, match=message):
        Pack().apply(workspace)


def test_a_float_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="put a quantize-aware step before"):
        Pack().apply(workspace_of(tmp_path))
    assert not (tmp_path / "model").exists()
