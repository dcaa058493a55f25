"""Recipes for label sets and rankings, from a bare encoder to answers in int8."""

from pathlib import Path

import pytest
import tiny_data

import leanformer
from leanformer.data import Source
from leanformer.distill.objectives import HiddenStates, Labels, SoftTargets
from leanformer.distill.step import Distill
from leanformer.models.io.load import load_model
from leanformer.prune.shrink import Shrink
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe
from leanformer.runtime.manifest import read_manifest
from leanformer.search.conduct import conduct
from leanformer.train import TrainSetup
from leanformer.train.steps.finetune import Finetune

TRAIN = TrainSetup(epochs=6, learning_rate=3e-3, batch_size=16, precision="fp32")
OBJECTIVES = (SoftTargets(), HiddenStates(), Labels())


@pytest.mark.parametrize("kind", ["multi-label", "ranking"])
def test_a_task_goes_from_a_bare_encoder_to_answers(kind: str, tmp_path: Path) -> None:
    data = tiny_data.write_data(tmp_path / "data", kind)
    recipe = Recipe(
        model=str(tiny_data.write_encoder(tmp_path / "encoder")),
        data=Source(path=str(data), kind=kind),
        steps=(
            Finetune(train=TRAIN, require_improvement=False),
            Shrink(layers=1, ffn=0.5),
            Distill(objectives=OBJECTIVES, train=TRAIN, require_improvement=False),
            Int8(),
        ),
        measure=False,
    )
    done, _ = conduct(recipe, tmp_path / "run")
    assert done.saved is not None
    manifest = read_manifest(done.saved)
    predictor = leanformer.load(done.saved, threads=1)
    if kind == "ranking":
        (score,) = predictor.predict(["the quick"], ["fox dog"])
        assert 0 < score < 1
        assert manifest.pairs
        return
    assert manifest.labels == ("animal", "mønt")
    assert len(manifest.thresholds) == 2
    bars = dict(zip(manifest.labels, manifest.thresholds, strict=True))
    answers = predictor.predict(["fox dog fox dog", "card twice", "the"])
    assert all(one.score >= bars[one.label] for answer in answers for one in answer)
    model, _ = load_model(done.saved, "classification")
    assert model.config.problem_type == "multi_label_classification"
