"""Every shipped recipe is read, and done from its first step to int8 on a tiny model."""

import dataclasses
import json
import tomllib
from pathlib import Path

import pytest
import tiny_data

from leanformer.core.codec import decode, encode
from leanformer.recipe import Recipe, read, run

_FOLDER = Path(__file__).parents[2] / "recipes"
_RECIPES = sorted(_FOLDER.glob("*.toml"))
_SAME_KIND = ("sst2-half", "banking77-third")
_KINDS = {"stsb-half": "regression", "ner-half": "tokens", "embedding-half": "embedding"}


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    return tiny_data.write_encoder(tmp_path_factory.mktemp("encoder") / "model")


def _settings(table: dict, model: Path, data: Path) -> list[str]:
    """What makes a recipe small: tiny model and data, few epochs at a rate that suits them."""
    settings = [f'model="{model}"', f'data.path="{data}"', "measure=false"]
    for index, step in enumerate(table["steps"]):
        if "train" in step:
            # A random tiny teacher must learn something, a tiny student need not.
            epochs, rate = (20, 2e-3) if step["use"] == "finetune" else (1, 1e-3)
            settings += [
                f"steps[{index}].train.epochs={epochs}",
                f"steps[{index}].train.learning_rate={rate}",
                f"steps[{index}].train.batch_size=16",
                f"steps[{index}].train.evaluations=1",
                f'steps[{index}].train.precision="fp32"',
            ]
        if step["use"] == "distill":
            settings.append(f"steps[{index}].regain=false")
        if step["use"] == "shrink":
            settings += [f"steps[{index}].layers=2", f"steps[{index}].multiple=8"]
        if step["use"] == "int8":
            settings.append(f"steps[{index}].texts=8")
    return settings


def test_there_are_recipes():
    assert len(_RECIPES) >= 6


@pytest.mark.parametrize("path", _RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_written_back(path):
    recipe = read(path)
    assert decode(Recipe, encode(recipe)) == recipe
    assert path.read_text().startswith("# "), "the first line says what the recipe is for"


@pytest.mark.parametrize("path", _RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_to_its_end(path, encoder, tmp_path):
    kind = _KINDS.get(path.stem, "classification")
    data = tiny_data.write_data(tmp_path / "data", kind)
    table = tomllib.loads(path.read_text())
    recipe = read(path, _settings(table, encoder, data))
    if path.stem in _SAME_KIND:  # int8 takes seconds, and another recipe of the kind has it
        recipe = dataclasses.replace(recipe, steps=recipe.steps[:-1])
    done = run(recipe, tmp_path / "run")
    names = [step.technique for step in recipe.steps]
    assert (done.saved / "openvino" / "int8" / "model.xml").is_file() == ("int8" in names)
    events = [json.loads(line) for line in (tmp_path / "run" / "record.jsonl").open()]
    steps = [event for event in events if event["event"] == "step"]
    assert [step["step"] for step in steps] == names
    assert all(proof["ok"] for step in steps for proof in step["proofs"])
    assert done.dataset.task.kind == kind


def test_a_recipe_that_was_done_is_not_done_again(encoder, tmp_path):
    path = _FOLDER / "embedding-half.toml"
    data = tiny_data.write_data(tmp_path / "data", "embedding")
    recipe = read(path, _settings(tomllib.loads(path.read_text()), encoder, data))
    recipe = dataclasses.replace(recipe, steps=recipe.steps[:-1])
    first = run(recipe, tmp_path / "run")
    written = (tmp_path / "run" / "record.jsonl").read_text()
    again = run(recipe, tmp_path / "run")
    assert (tmp_path / "run" / "record.jsonl").read_text() == written
    assert again.saved == first.saved


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps[0].epochs=2", r"steps\[0\]\.epochs: Finetune has no field 'epochs'"),
        ("steps[3].objectives[0].temprature=2", r"did you mean 'temperature'\?"),
        ("steps[1].use=cut-vocab", r"did you mean 'cut-vocabulary'\?"),
        ("steps[2].heads=2", r"heads: 2\.0 is not a share to keep"),
        ("steps[9].heads=0.5", "leads nowhere"),
        ("nothing", "write path=value"),
    ],
)
def test_a_setting_that_does_not_fit_names_the_place(setting, message):
    with pytest.raises(ValueError, match=message):
        read(_FOLDER / "intents-half.toml", [setting])
