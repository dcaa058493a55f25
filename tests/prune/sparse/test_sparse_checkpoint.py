import subprocess
import sys
from pathlib import Path

import pytest
import torch
from quantize.test_quantize_aware import workspace_of
from transformers import AutoModel, AutoModelForSequenceClassification

from leanformer.prune.pack_sparse import PackSparse
from leanformer.prune.sparse.sparse_checkpoint import SparseForm
from leanformer.prune.sparse_gpt import SparseGpt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    done = PackSparse().apply(SparseGpt(sparsity=0.8).apply(workspace_of(tmp_path)))
    assert done.saved is not None
    return done.saved


def test_another_process_loads_it_after_importing_leanformer(folder: Path) -> None:
    code = (
        "import leanformer, sys\n"
        "from transformers import AutoModelForSequenceClassification as Auto\n"
        "model = Auto.from_pretrained(sys.argv[1])\n"
        "print(int(model.bert.encoder.layer[0].output.dense.weight.count_nonzero()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    weight = model.bert.encoder.layer[0].output.dense.weight
    assert int(done.stdout) == int(weight.count_nonzero()) == round(0.2 * weight.numel())


def test_the_bare_encoder_is_loaded_from_the_same_folder(folder: Path) -> None:
    whole = AutoModelForSequenceClassification.from_pretrained(folder)
    bare = AutoModel.from_pretrained(folder)
    for name, tensor in bare.state_dict().items():
        if not name.startswith("pooler"):
            assert torch.equal(tensor, whole.bert.state_dict()[name])


def test_what_was_loaded_is_saved_dense_and_comes_back(folder: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.save_pretrained(tmp_path / "dense")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "dense")
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert not hasattr(again.config, "quantization_config")


def test_settings_keep_what_json_has() -> None:
    settings = SparseForm(layers={"a": 3}, quant_method="leanformer-sparse")
    assert settings.to_dict() == {"quant_method": "leanformer-sparse", "layers": {"a": 3}}
