"""The whole step is run by the recipes in test_quantize_aware.py."""

import pytest
from quantize.rounding import Blocks
from quantize.test_quantize_aware import workspace_of

from leanformer.core.proof import NoEffect
from leanformer.measure import rewritten
from leanformer.quantize.fake import rounded_layers
from leanformer.quantize.pack import Pack
from leanformer.quantize.quantize_aware import QuantizeAware


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
    loaded = rewritten.loaded

    def other(kind, folder):
        model = loaded(kind, folder)
        model.classifier.bias.data += change
        return model

    monkeypatch.setattr(rewritten, "loaded", other)
    with pytest.raises(NoEffect, match=message):
        Pack().apply(workspace)


def test_a_float_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="put a quantize-aware step before"):
        Pack().apply(workspace_of(tmp_path))
    assert not (tmp_path / "model").exists()
