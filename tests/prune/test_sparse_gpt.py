from typing import Any

import pytest
import torch
from quantize.test_quantize_aware import workspace_of

from leanformer.calibrate.gram import gather_grams, output_loss
from leanformer.calibrate.texts import training_texts
from leanformer.core.record import read
from leanformer.prune.patterns import Blocks, NOfM
from leanformer.prune.sparse_gpt import SparseGpt
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Uniform

LAYER = "bert.encoder.layer.1.output.dense"


def losses(workspace: Any) -> dict[str, float]:
    (event,) = [e for e in read(workspace.record.path) if e["event"] == "losses_by_layer"]
    return {row["layer"]: row["loss"] for row in event["rows"]}


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_half_of_the_weights_go_and_the_rest_makes_up_for_them(tmp_path: Any, family: str) -> None:
    workspace = workspace_of(tmp_path, family, "embedding")
    before = {name: t.clone() for name, t in workspace.model.state_dict().items()}
    done = SparseGpt().apply(workspace)
    (proof,) = done.proofs
    assert proof.after == proof.before / 2
    found = losses(workspace)
    changed = {n for n, t in done.model.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {f"{name}.weight" for name in found}
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(0 < loss < 0.5 for loss in found.values())


def test_it_loses_less_than_dropping_the_same_weights(tmp_path: Any) -> None:
    workspace = workspace_of(tmp_path)
    weight = workspace.model.get_submodule(LAYER).weight.detach().clone()
    batches = training_texts(workspace, 128, 128)
    gram = gather_grams(workspace.model, batches, layers=(LAYER,))[LAYER]
    done = SparseGpt(pattern=NOfM()).apply(workspace)
    found = done.model.get_submodule(LAYER).weight
    assert (found.reshape(-1, 4).count_nonzero(dim=1) == 2).all()
    assert output_loss(weight, found, gram) < output_loss(weight, weight * (found != 0), gram)
    assert losses(workspace)[LAYER] == pytest.approx(output_loss(weight, found, gram), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 1.0}, "sparsity: 1.0 is not above 0 and below 1"),
        ({"sparsity": 0.7, "pattern": NOfM()}, "sparsity: 0.7 is more than 0.5, the most that"),
        ({"damp_percent": 0.0}, "damp_percent: 0.0 is not above 0"),
        ({"block_size": 0}, "block_size: 0 is not at least 1"),
    ],
)
def test_what_cannot_be_done_is_refused_when_it_is_named(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SparseGpt(**settings)


def test_what_does_not_fit_is_refused_and_nothing_is_changed(tmp_path: Any) -> None:
    workspace = workspace_of(tmp_path)
    before = {name: t.clone() for name, t in workspace.model.state_dict().items()}
    with pytest.raises(ValueError, match=r"sparse-gpt: .* do not tile .*; or name it in keep_den"):
        SparseGpt(pattern=Blocks(rows=5)).apply(workspace)
    with pytest.raises(ValueError, match="keep_dense: no layer is named nowhere"):
        SparseGpt(keep_dense=("nowhere",)).apply(workspace)
    for name, tensor in workspace.model.state_dict().items():
        assert torch.equal(tensor, before[name])
    QuantizeAware(weights=Uniform()).apply(workspace)
    with pytest.raises(ValueError, match="round"):
        SparseGpt().apply(workspace)
