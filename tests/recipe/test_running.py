from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data
import torch
from shadow_device import shadow

from leanformer.core import record
from leanformer.core.machine.device import device_of, on_cpu
from leanformer.core.workspace import Workspace
from leanformer.data import Source
from leanformer.distill.objectives import HiddenStates, SoftTargets
from leanformer.distill.step import Distill
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe, open_model, read, run
from leanformer.train import TrainSetup
from leanformer.train.loop import Progress
from leanformer.train.steps.finetune import Finetune

TEXT = """
model = "encoder"
keep = 0.97
[data]
path = "texts.tsv"
[[steps]]
use = "shrink"
layers = 2
[[steps]]
use = "distill"
objectives = [{ use = "soft-targets", temperature = 2.0 }, { use = "hidden-states" }]
[[steps]]
use = "int8"
"""
SETUP = TrainSetup(
    epochs=4, learning_rate=3e-3, batch_size=16, precision="fp32", checkpoint_seconds=0.0
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(TEXT)
    return path


def test_a_recipe_chooses_its_metric(written: Path) -> None:
    written.write_text(TEXT.replace("[data]", '[data]\nmetric = "macro-f1"'))
    assert read(written).data == Source(path="texts.tsv", metric="macro-f1")
    assert read(written, ["data.metric=mcc"]).data.metric == "mcc"


def test_a_file_becomes_a_recipe(written: Path) -> None:
    assert read(written) == Recipe(
        model="encoder",
        data=Source(path="texts.tsv"),
        keep=0.97,
        steps=(
            Shrink(layers=2),
            Distill(objectives=(SoftTargets(temperature=2.0), HiddenStates())),
            Int8(),
        ),
    )


def test_settings_change_what_the_file_says(written: Path) -> None:
    settings = [
        "steps[1].objectives[0].temperature=4", "steps[0].heads=0.5", "data.path=other.tsv",
        "seed=3", 'steps[2]={use="cut-vocabulary", size=50}',
    ]  # fmt: skip
    changed = read(written, settings)
    assert changed.steps[0] == Shrink(layers=2, heads=0.5)
    assert changed.steps[1] == Distill(objectives=(SoftTargets(temperature=4.0), HiddenStates()))
    assert changed.steps[2] == CutVocabulary(size=50)
    assert (changed.data.path, changed.seed, changed.keep) == ("other.tsv", 3, 0.97)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps[0].use=shrnk", r"steps\[0\].use: .*'shrnk'.*did you mean 'shrink'"),
        ("steps[0].layer=3", r"steps\[0\].layer: .*did you mean 'layers'"),
        ("steps[1].noise=2.0", r"steps\[1\].noise: 2.0 is not at least 0"),
        ("steps=[]", "steps: none is named; `leanformer list` shows what there is"),
        ("steps[7].layers=1", r"--set steps\[7\].layers=1: .* leads nowhere"),
        ("sede=1", "sede: Recipe has no field 'sede' .did you mean 'seed'"),
        ("model=7", "model: 7 is not a text"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    written: Path, setting: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(written, [setting])


def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    with pytest.raises(FileNotFoundError, match=r"bad.toml: no such recipe"):
        read(path)
    for content in (b"model = \n", b"model = '\xff\xfe'"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"bad.toml: not valid TOML \("):
            read(path)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Four steps on a headless encoder: a teacher is made, and a student of it."""
    place = tmp_path_factory.mktemp("recipe")
    return Recipe(
        model=str(tiny_data.write_encoder(place / "encoder")),
        data=Source(path=str(tiny_data.write_data(place / "animals"))),
        steps=(
            Finetune(train=replace(SETUP, epochs=6)),
            CutVocabulary(),
            Shrink(layers=2, heads=0.5, ffn=0.5, multiple=8),
            Distill(
                objectives=(SoftTargets(), HiddenStates()), train=SETUP, require_improvement=False
            ),
        ),
        seed=5,
    )


@pytest.fixture(scope="module")
def whole(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """What an uninterrupted run gives."""
    return run(recipe, tmp_path_factory.mktemp("whole"))


def same(ours: Workspace, theirs: Workspace) -> bool:
    first, second = ours.model.state_dict(), theirs.model.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def steps_done(folder: Path) -> list[str]:
    path = folder / "record.jsonl"
    events = record.read(path) if path.is_file() else []
    return [event["step"] for event in events if event["event"] == "step"]


def test_each_step_leaves_a_model_and_a_line(whole: Workspace, recipe: Recipe) -> None:
    folder = whole.folder.parent
    names = ["finetune", "cut-vocabulary", "shrink", "distill"]
    assert steps_done(folder) == names
    for number, name in enumerate(names):
        place = folder / f"{number:02}-{name}"
        left = {path.name for path in place.iterdir()}
        assert left == {"model", "step.json", "done.json"}  # no checkpoint
    assert whole.saved == folder / "03-distill" / "model"
    dataset = recipe.data.read()
    model, tokenizer = open_model(str(whole.saved), dataset, seed=0)
    assert same(whole.with_(model=model), whole)
    assert tokenizer.get_vocab() == whole.tokenizer.get_vocab()
    assert model.config.id2label == dict(enumerate(dataset.task.labels))


def test_the_fine_tuned_model_is_the_teacher(whole: Workspace) -> None:
    assert whole.teacher_saved == str(whole.folder.parent / "00-finetune" / "model")
    assert whole.teacher.config.num_hidden_layers == 3
    assert len(whole.teacher_tokenizer) > len(whole.tokenizer)


@pytest.mark.parametrize("last", ["cut-vocabulary", "shrink", "distill"])
def test_a_run_stopped_between_two_steps_ends_the_same(
    recipe: Recipe, whole: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    step = next(step for step in recipe.steps if step.technique == last)  # type: ignore[attr-defined]

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(step), "apply", stop)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path)
    assert last not in steps_done(tmp_path)
    assert same(run(recipe, tmp_path), whole)
    assert steps_done(tmp_path) == steps_done(whole.folder.parent)


@pytest.mark.parametrize(("place", "expected"), [(2, "finetune"), (20, "distill")])
def test_a_training_stopped_in_its_middle_ends_the_same(
    recipe: Recipe, whole: Workspace, tmp_path: Path, place: int, expected: str
) -> None:
    seen: list[int] = []

    def watch(stop: int) -> Callable[[str, Any], None]:
        def hook(name: str, progress: Any) -> None:
            assert isinstance(progress, Progress)
            seen.append(progress.step)
            if len(seen) == stop:
                raise KeyboardInterrupt

        return hook

    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path, watch=watch(place))
    assert expected not in steps_done(tmp_path)
    again = run(recipe, tmp_path, watch=watch(0))
    assert same(again, whole)
    assert seen[place] == seen[place - 1]  # the step that was lost, not the first one
    assert len(seen) == 18 + 12 + 1


def test_a_finished_run_is_only_read(
    recipe: Recipe, whole: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = whole.folder.parent
    before = (folder / "record.jsonl").read_text()
    for step in recipe.steps:
        monkeypatch.setattr(type(step), "apply", None)
    again = run(recipe, folder)
    assert same(again, whole)
    assert again.saved == whole.saved
    assert (folder / "record.jsonl").read_text() == before


def test_a_student_without_a_teacher_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="distill: there is no teacher; name one"):
        run(replace(recipe, steps=(Distill(),)), tmp_path)


def test_a_teacher_can_be_named(recipe: Recipe, whole: Workspace, tmp_path: Path) -> None:
    short = Distill(train=replace(SETUP, epochs=1.0), require_improvement=False)
    done = run(replace(recipe, teacher=whole.teacher_saved, steps=(short,)), tmp_path)
    assert done.teacher_saved == whole.teacher_saved
    assert same(done.with_(model=done.teacher), whole.with_(model=whole.teacher))


def test_a_run_goes_to_the_named_device_and_may_go_on_elsewhere(
    recipe: Recipe, whole: Workspace, tmp_path: Path
) -> None:
    short = Distill(train=replace(SETUP, epochs=1.0), require_improvement=False)
    there = replace(
        recipe, device="shadow", teacher=whole.teacher_saved, steps=(Shrink(layers=2), short)
    )
    done = run(there, tmp_path)
    assert device_of(done.model) == device_of(done.teacher) == shadow()
    again = run(replace(there, device="cpu"), tmp_path)
    assert device_of(again.model).type == device_of(again.teacher).type == "cpu"
    assert same(again, done.with_(model=on_cpu(done.model)))


def test_a_device_that_is_not_here_is_refused_before_anything_is_written(
    recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="device: 'gpu' is not on this machine, which has"):
        run(replace(recipe, device="gpu"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
