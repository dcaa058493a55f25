from pathlib import Path

import pytest
from quantize.test_quantize_aware import workspace_of

from leanformer.core.proof import NoEffect
from leanformer.prune import pack_sparse
from leanformer.prune.pack_sparse import PackSparse
from leanformer.prune.sparse_gpt import SparseGpt
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Uniform


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_the_file_is_bitmaps_and_values_and_the_model_the_same(tmp_path: Path, family: str) -> None:
    workspace = SparseGpt(sparsity=0.9).apply(workspace_of(tmp_path, family, "embedding"))
    done = PackSparse().apply(workspace)
    size, tensors, outputs = done.proofs
    assert size.ok
    assert size.after < size.before
    assert "bitmaps" in size.note
    assert tensors.after == 0
    assert outputs.after <= 1e-5


def test_a_file_that_is_too_large_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = SparseGpt(sparsity=0.5).apply(workspace_of(tmp_path))
    monkeypatch.setattr(pack_sparse, "sparse_bytes", lambda model, names: {"values": 10})
    with pytest.raises(NoEffect, match="weights on disk"):
        PackSparse().apply(workspace)


def test_a_dense_model_and_one_that_rounds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="put sparsify or sparse-gpt before"):
        PackSparse().apply(workspace_of(tmp_path))
    workspace = workspace_of(tmp_path)
    QuantizeAware(weights=Uniform()).apply(workspace)
    with pytest.raises(ValueError, match="round"):
        PackSparse().apply(workspace)
