"""Every shipped recipe is read, and done from its first step to int8 on a tiny model."""

import dataclasses
import json
import tomllib
from pathlib import Path

import pytest
import tiny_data
import torch

from leanformer.core.codec import decode, encode
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.recipe import Recipe, read, run
from leanformer.runtime.backends import graph_file

_FOLDER = Path(__file__).parents[2] / "recipes"
_RECIPES = sorted(_FOLDER.glob("*.toml"))
_SAME_KIND = ("sst2-half", "banking77-third", "distilbert-sst2", "tinybert-sst2", "transfer-sst2")
_KINDS = {
    "stsb-half": "regression",
    "ner-half": "tokens",
    "embedding-half": "embedding",
    "distilbert-pretraining": "masked-lm",
    "tinybert-general": "masked-lm",
}
_SMALL: dict[str, dict[str, int]] = {
    "shrink": {"layers": 2, "multiple": 8},
    "tinybert": {"layers": 1, "hidden": 16, "ffn": 24, "heads": 4},
    "mobilebert": {
        "layers": 3,
        "hidden": 32,
        "within": 16,
        "embedding": 16,
        "ffn": 16,
        "heads": 4,
    },
    "miniature": {"layers": 2, "hidden": 128},
    "int8": {"texts": 8},
    "quantize-aware": {"texts": 8},
}
_TRAINED = {"finetune": (20, 2e-3), "pretrain": (40, 5e-3), "progressive": (4, 2e-3)}
_WIDE = {"hidden_size": 144, "intermediate_size": 512, "num_attention_heads": 4}


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    return tiny_data.write_encoder(tmp_path_factory.mktemp("encoder") / "model")


@pytest.fixture(scope="session")
def wide_encoder(tmp_path_factory):
    """One that the smallest miniature can be cut from."""
    folder = tmp_path_factory.mktemp("encoder") / "wide"
    save_model(*tiny_model("bert", head="embedding", **_WIDE), folder)
    return folder


def _data(folder: Path, kind: str) -> Path:
    """Splits of a kind of task; plain text is a file a split."""
    if kind != "masked-lm":
        return tiny_data.write_data(folder, kind)
    folder.mkdir()
    for split, count in tiny_data.SIZES.items():
        lines = [text for text, _ in tiny_data.texts(split, count)]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


def _settings(table: dict, model: Path, data: Path) -> list[str]:
    """What makes a recipe small: tiny model and data, few epochs at a rate that suits them."""
    settings = [f'model="{model}"', f'data.path="{data}"']
    if table.get("measure", True):
        settings.append("measure=false")
    if "unlabelled" in table["data"]:
        more = data / "more.txt"
        more.write_text("the quick dog\ni want my card back\n")
        settings.append(f'data.unlabelled="{more}"')
    for index, step in enumerate(table["steps"]):
        small = dict(_SMALL.get(step["use"], {}))
        by = "by." if "by" in step else ""
        if "train" in step.get("by", step):
            # A random tiny teacher must learn something, a tiny student need not; a loss must fall.
            epochs, rate = _TRAINED.get(step["use"], (1, 1e-3))
            if step.get("load_best_at_end") is False:
                epochs, rate = _TRAINED["progressive"]
            settings += [
                f"steps[{index}].{by}train.epochs={epochs}",
                f"steps[{index}].{by}train.learning_rate={rate}",
                f"steps[{index}].{by}train.batch_size=16",
                f"steps[{index}].{by}train.evaluations=1",
                f'steps[{index}].{by}train.precision="fp32"',
            ]
        if step["use"] == "distill":
            settings.append(f"steps[{index}].require_improvement=false")
        if "augmentation" in step:
            settings.append(f"steps[{index}].augmentation.copies=1")
        if step.get("weights", {}).get("num_groups"):
            settings.append(f"steps[{index}].weights.num_groups=8")  # as many as divide tiny rows
        if "bits" in step:
            settings += [f"steps[{index}].bits.{name}=2" for name in ("slices", "iterations")]
        settings += [f"steps[{index}].{name}={value}" for name, value in small.items()]
    return settings


def test_there_are_recipes():
    assert len(_RECIPES) >= 15


@pytest.mark.parametrize("path", _RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_written_back(path):
    recipe = read(path)
    assert decode(Recipe, encode(recipe)) == recipe
    assert path.read_text().startswith("# "), "the first line says what the recipe is for"


@pytest.mark.parametrize("path", _RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_to_its_end(path, encoder, wide_encoder, tmp_path):
    kind = _KINDS.get(path.stem, "classification")
    data = _data(tmp_path / "data", kind)
    table = tomllib.loads(path.read_text())
    model = wide_encoder if path.stem == "transfer-sst2" else encoder
    recipe = read(path, _settings(table, model, data))
    if path.stem in _SAME_KIND:  # int8 takes seconds, and another recipe of the kind has it
        recipe = dataclasses.replace(recipe, steps=recipe.steps[:-1])
    done = run(recipe, tmp_path / "run")
    names = [step.technique for step in recipe.steps]
    assert graph_file(done.saved, "openvino", "int8").is_file() == ("int8" in names)
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
        ("steps[2].heads=2", r"heads: 2\.0 is not above 0 and at most 1"),
        ("steps[9].heads=0.5", "leads nowhere"),
        ("nothing", "write path=value"),
    ],
)
def test_a_setting_that_does_not_fit_names_the_place(setting, message):
    with pytest.raises(ValueError, match=message):
        read(_FOLDER / "intents-half.toml", [setting])


def test_a_student_of_plain_text_is_the_beginning_of_one_for_a_task(encoder, tmp_path):
    """Distillation before the task and for it: the student of one recipe is the model of another."""
    done = {}
    for name, kind in (("tinybert-general", "masked-lm"), ("tinybert-sst2", "classification")):
        path, data = _FOLDER / f"{name}.toml", _data(tmp_path / kind, kind)
        settings = _settings(tomllib.loads(path.read_text()), encoder, data)
        recipe = read(path, settings)
        if kind == "classification":
            teacher = dataclasses.replace(recipe, steps=recipe.steps[:1])
            recipe = dataclasses.replace(
                recipe,
                model=str(done["tinybert-general"].saved),
                teacher=str(run(teacher, tmp_path / "teacher").saved),
                steps=recipe.steps[2:4],
            )
        done[name] = run(recipe, tmp_path / name)
    student, general = done["tinybert-sst2"].model, done["tinybert-general"].model
    assert type(student).__name__ == "BertForSequenceClassification"
    assert student.config.hidden_size == general.config.hidden_size == 16
    # it went on from what plain text taught it, and did not begin anew with a slice
    begun, _ = load_model(encoder, "embedding")
    ours, taught, slices = (
        model.base_model.embeddings.word_embeddings.weight[:, :16]
        for model in (student, general, begun)
    )
    assert torch.dist(ours, taught) < 0.5 * torch.dist(ours, slices)
