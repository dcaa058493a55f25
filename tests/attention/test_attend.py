from pathlib import Path

import pytest
from quantize.test_quantize_aware import workspace_of

from leanformer.attention import Linear, Linformer, SlidingWindow
from leanformer.attention import attend as module
from leanformer.attention.attend import Attend
from leanformer.attention.hf.attach import attached
from leanformer.core.proof import NoEffect
from leanformer.train import TrainSetup
from leanformer.train.steps.finetune import Finetune


def test_every_layer_runs_the_mechanism(tmp_path: Path) -> None:
    done = Attend(mechanism=SlidingWindow(left=2, right=2)).apply(workspace_of(tmp_path))
    layers, parameters = done.proofs
    assert (layers.before, layers.after, layers.asked) == (0, 3, 3)
    assert parameters.after == 0
    assert parameters.note == "what a trained model loses was not measured"
    assert len(attached(done.model)) == 3


def test_some_layers_alone(tmp_path: Path) -> None:
    done = Attend(mechanism=Linformer(rank=4), layers=(1,)).apply(workspace_of(tmp_path))
    assert done.proofs[0].after == 1
    assert done.proofs[1].after == 2 * 4 * 64
    assert "little better than guess" in done.proofs[1].note
    assert "trained by a step that follows" in done.proofs[1].note


def test_what_has_no_parameters_may_have_to_be_trained_too(tmp_path: Path) -> None:
    done = Attend(mechanism=Linear()).apply(workspace_of(tmp_path))
    assert done.proofs[1].after == 0
    assert "must be trained with it" in done.proofs[1].note


def test_layers_that_do_not_run_it_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_running", lambda model: 2)
    with pytest.raises(NoEffect, match="attention layers that run the mechanism"):
        Attend().apply(workspace_of(tmp_path))


def test_a_model_is_trained_with_it(tmp_path: Path) -> None:
    """Learned mechanisms too: their parameters move with the others."""
    workspace = workspace_of(tmp_path)
    workspace.model.config.attention_probs_dropout_prob = 0.0
    done = Attend(mechanism=Linformer(rank=4)).apply(workspace)
    before = {name: core.projection.clone() for name, core in attached(done.model).items()}
    setup = TrainSetup(epochs=1, batch_size=4)
    trained = Finetune(train=setup, require_improvement=False, load_best_at_end=False).apply(done)
    for name, core in attached(trained.model).items():
        assert not core.projection.equal(before[name])
