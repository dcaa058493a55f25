"""A recipe on two ranks: rank 0 writes, and what comes of it is what one process makes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data
import torch
from torch import Tensor

from leanformer.core.record import read
from leanformer.data import Source
from leanformer.distill.objectives import HiddenStates, SoftTargets
from leanformer.distill.step import Distill
from leanformer.prune.patterns import Blocks
from leanformer.prune.shrink import Shrink
from leanformer.prune.sparsify import Sparsify
from leanformer.recipe import Recipe, run
from leanformer.recipe.running import trains
from leanformer.train import TrainSetup
from leanformer.train.parallel import Parallel
from leanformer.train.steps.finetune import Finetune
from leanformer.train.testing import on_ranks


def recipe_of(place: Path, parallel: Parallel, encoder: Path) -> Recipe:
    setup = TrainSetup(
        epochs=2,
        learning_rate=1e-3,
        batch_size=16,
        precision="fp32",
        checkpoint_seconds=0.0,
        parallel=parallel,
    )
    finetune = Finetune(train=setup, dropout=False, require_improvement=False)
    distill = Distill(
        objectives=(SoftTargets(), HiddenStates()),
        train=replace(setup, epochs=1.0),
        require_improvement=False,
    )
    return Recipe(
        model=str(encoder),
        data=Source(path=str(place)),
        steps=(finetune, Shrink(layers=2, heads=0.5, ffn=0.5, multiple=8), distill),
        seed=5,
    )


def done(recipe: Recipe, folder: Path) -> tuple[dict[str, Tensor], Any, list[str]]:
    told: list[str] = []
    workspace = run(recipe, folder, watch=lambda name, what: told.append(str(what)))
    return dict(workspace.model.state_dict()), workspace.saved, told


def finished_before(recipe: Recipe, folder: Path) -> dict[str, Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finetune, "apply", None)  # nothing is done again
        patch.setattr(Shrink, "apply", None)
        return done(recipe, folder)[0]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("together")
    return tiny_data.write_data(place / "data"), tiny_data.write_encoder(place / "encoder")


def test_two_ranks_make_what_one_process_makes(tmp_path: Path, places: tuple[Path, Path]) -> None:
    expected, saved, _ = done(recipe_of(places[0], Parallel(), places[1]), tmp_path / "one")
    recipe = recipe_of(places[0], Parallel(data=2, zero=3), places[1])
    for model, where, _ in on_ranks(2, done, recipe, tmp_path / "two", seconds=240):
        assert where == tmp_path / "two" / saved.relative_to(tmp_path / "one")
        for name, tensor in expected.items():  # in fp32
            torch.testing.assert_close(model[name], tensor, rtol=1e-2, atol=2e-3)
    ours, theirs = (read(tmp_path / name / "record.jsonl") for name in ("two", "one"))
    assert [one["event"] for one in ours] == [one["event"] for one in theirs]
    for again in on_ranks(2, finished_before, recipe, tmp_path / "two", seconds=120):
        assert all(torch.equal(again[name], model[name]) for name in model)


def test_a_step_trains_where_it_holds_how() -> None:
    assert trains(Finetune())
    assert trains(Sparsify(by=Finetune(), pattern=Blocks()))
    assert not trains(Shrink(layers=2))
