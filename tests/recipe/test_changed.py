"""A run that is asked for again with something changed: refused by name, or gone on with."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data
import torch
from safetensors.torch import load_file, save_file

from leanformer.core.record import read
from leanformer.core.workspace import Workspace
from leanformer.data import Source
from leanformer.distill.step import Distill
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.recipe import Recipe, run
from leanformer.train import TrainSetup

SETUP = TrainSetup(
    steps=4, learning_rate=3e-3, batch_size=16, precision="fp32", checkpoint_seconds=0.0
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Workspace]:
    """A finished run of a teacher with a head, in a folder with its model and data."""
    place = tmp_path_factory.mktemp("changed")
    data = tiny_data.write_data(place / "animals")
    recipe = Recipe(
        model=str(tiny_data.write_classifier(place / "model", data)),
        data=Source(path=str(data)),
        steps=(
            CutVocabulary(),
            Shrink(layers=2, heads=0.5, ffn=0.5, multiple=8),
            Distill(train=SETUP, require_improvement=False),
        ),
    )
    return recipe, run(recipe, place / "out")


Again = tuple[Recipe, Path]


@pytest.fixture
def again(done: tuple[Recipe, Workspace], tmp_path: Path) -> Again:
    """The same in another place: nothing there names the first one."""
    shutil.copytree(done[1].folder.parent.parent, tmp_path, dirs_exist_ok=True)
    recipe = replace(
        done[0], model=str(tmp_path / "model"), data=Source(path=str(tmp_path / "animals"))
    )
    return recipe, tmp_path / "out"


def steps_run(monkeypatch: pytest.MonkeyPatch, *kinds: Any) -> list[str]:
    """The names of steps that are done from now on."""
    seen: list[str] = []
    for kind in kinds:
        apply = kind.apply

        def noted(step: Any, workspace: Workspace, apply: Any = apply) -> Workspace:
            seen.append(step.technique)
            return apply(step, workspace)  # type: ignore[no-any-return]

        monkeypatch.setattr(kind, "apply", noted)
    return seen


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return steps_run(monkeypatch, CutVocabulary, Shrink, Distill)


def same(ours: Any, theirs: Any) -> bool:
    first, second = ours.state_dict(), theirs.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_a_run_whose_folders_have_moved_is_finished(
    done: tuple[Recipe, Workspace], again: Again, seen: list[str]
) -> None:
    before = (again[1] / "record.jsonl").read_text()
    assert same(run(*again).model, done[1].model)
    assert (seen, (again[1] / "record.jsonl").read_text()) == ([], before)


def relabel(recipe: Recipe) -> Recipe:
    file = Path(recipe.data.path) / "train.tsv"
    lines = file.read_text().splitlines()
    text, label = lines[1].split("\t")
    lines[1] = f"{text}\t{'money' if label == 'animal' else 'animal'}"
    file.write_text("\n".join(lines) + "\n")
    return recipe


def reword(recipe: Recipe) -> Recipe:
    file = Path(recipe.data.path) / "dev.tsv"
    file.write_text(file.read_text().replace("the quick", "a quick", 1).replace("fox", "dog", 1))
    return recipe


def reweigh(recipe: Recipe) -> Recipe:
    file = Path(recipe.model) / "model.safetensors"
    weights = load_file(file)
    weights["classifier.bias"] += 1.0
    save_file(weights, file, metadata={"format": "pt"})
    return own(recipe)


def retokenize(recipe: Recipe) -> Recipe:
    file = Path(recipe.model) / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": 77}))
    return own(recipe)


def own(recipe: Recipe) -> Recipe:
    """Its model, as whoever made a change takes it over."""
    (Path(recipe.model) / "parts.json").unlink()
    return recipe


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (relabel, "the labels of train; name another folder"),
        (reword, "the texts of dev; name another folder"),
        (reweigh, "the weights of the model; name"),
        (retokenize, "the tokenizer of the model; name"),
        (lambda recipe: replace(recipe, seed=6), r"seed \(0 → 6\); name another folder"),
        (
            lambda recipe: replace(recipe, teacher=recipe.model),
            "the weights of the teacher, the configuration of the teacher",
        ),
        (
            lambda recipe: replace(recipe, data=replace(recipe.data, metric="mcc")),
            r"data.task.metric \(accuracy → mcc\)",
        ),
    ],
)
def test_other_data_or_another_model_are_refused_by_name(
    again: Again, seen: list[str], change: Callable[[Recipe], Recipe], said: str
) -> None:
    asked = change(again[0])
    before = {path: path.read_bytes() for path in again[1].rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=f"holds other work, which differs in {said}"):
        run(asked, again[1])
    assert {path: path.read_bytes() for path in again[1].rglob("*") if path.is_file()} == before
    assert seen == []


def test_the_content_of_a_named_teacher_counts(again: Again, tmp_path: Path) -> None:
    teacher = Path(shutil.copytree(again[0].model, tmp_path / "teacher"))
    asked, out = replace(again[0], teacher=str(teacher), steps=again[0].steps[:2]), tmp_path / "two"
    run(asked, out)
    reweigh(replace(asked, model=str(teacher)))
    with pytest.raises(ValueError, match="differs in the weights of the teacher; name another"):
        run(asked, out)


def test_more_teachers_of_a_step_count_by_content(
    again: Again, tmp_path: Path, seen: list[str]
) -> None:
    teacher = Path(shutil.copytree(again[0].model, tmp_path / "second"))
    step = Distill(train=SETUP, teachers=(str(teacher),), require_improvement=False)
    asked = replace(again[0], steps=(*again[0].steps[:2], step))
    run(asked, again[1])
    run(asked, again[1])
    reweigh(replace(asked, model=str(teacher)))
    run(asked, again[1])
    assert seen == ["distill", "distill"]


def test_equal_first_steps_are_not_done_again(
    done: tuple[Recipe, Workspace], again: Again, seen: list[str]
) -> None:
    recipe, out = again
    told: list[Any] = []
    longer = replace(SETUP, steps=6)
    other = (*recipe.steps[:2], Distill(train=longer, require_improvement=False))
    changed = run(
        replace(recipe, steps=other), out, watch=lambda name, news: told.append((name, news))
    )
    assert seen == ["distill"]
    assert told[0] == (
        "student",
        "changed since the former run: steps[2].train.steps (4 → 6); the steps before the first change are kept",
    )
    assert not same(changed.model, done[1].model)
    events = read(out / "record.jsonl")
    assert [e["step"] for e in events if e["event"] == "step"] == [
        "cut-vocabulary",
        "shrink",
        "distill",
    ]
    assert events[-1]["settings"]["train"]["steps"] == 6
    assert read(out / "record.1.jsonl")  # the former record stays beside it


def test_former_settings_bring_the_former_step_back(
    done: tuple[Recipe, Workspace], again: Again, seen: list[str]
) -> None:
    recipe, out = again
    before = read(out / "record.jsonl")
    other = (recipe.steps[0], Shrink(layers=1), recipe.steps[2])
    run(replace(recipe, steps=other), out)
    assert seen == ["shrink", "distill"]
    assert same(run(recipe, out).model, done[1].model)
    assert len(seen) == 2
    assert read(out / "record.jsonl") == before  # its times too


def test_a_step_that_was_stopped_goes_on_when_it_is_asked_for_again(
    done: tuple[Recipe, Workspace], again: Again, tmp_path: Path
) -> None:
    recipe, out = again[0], tmp_path / "fresh"
    steps: list[int] = []

    def stop(name: str, progress: Any) -> None:
        if not isinstance(progress, str) and progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(recipe, out, watch=stop)
    run(replace(recipe, steps=(*recipe.steps[:2], Shrink(layers=1))), out)
    back = run(
        recipe,
        out,
        watch=lambda _, news: None if isinstance(news, str) else steps.append(news.step),
    )
    assert steps == [3, 4]
    assert same(back.model, done[1].model)


def test_another_promise_or_test_split_does_no_step_again(again: Again, seen: list[str]) -> None:
    recipe, out = again
    run(replace(recipe, keep=0.5), out)
    file = Path(recipe.data.path) / "test.tsv"
    file.write_text(file.read_text().replace("fox", "dog"))
    run(replace(recipe, keep=0.5), out)
    assert seen == []
    assert len(list(out.glob("record.*.jsonl"))) == 2


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda place: (place / "model" / "model.safetensors").unlink(), "safetensors is missing"),
        (lambda place: shutil.rmtree(place / "model"), "is missing, though .*done.json names it"),
        (lambda place: cut(place / "model" / "model.safetensors"), "damaged"),
        (lambda place: (place / "model" / "config.json").write_text("{}"), "damaged"),
        (lambda place: cut(place / "done.json"), "done.json is not valid JSON"),
        (lambda place: (place / "done.json").write_text("{}"), "does not say what came of the"),
        (lambda place: cut(place / "step.json"), "step.json is not valid JSON"),
        (lambda place: (place / "step.json").write_text("{}"), "does not say of which step"),
        (lambda place: (place / "step.json").unlink(), "does not say of which step"),
    ],
)
def test_a_finished_step_that_is_damaged_is_refused(
    again: Again, damage: Callable[[Path], Any], said: str
) -> None:
    place = again[1] / "01-shrink"
    damage(place)
    with pytest.raises(ValueError, match=f"{said}.*; remove .*01-shrink to do this step again"):
        run(*again)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


@pytest.mark.parametrize("text", ["{}", '{"content": {}}', '{"model": "x", "steps": []}'])
def test_a_run_that_does_not_say_what_it_is_of_is_refused(again: Again, text: str) -> None:
    (again[1] / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match=r"recipe.json does not say what the work in this folder"):
        run(*again)


def test_how_a_step_is_done_changes_nothing(again: Again, seen: list[str], tmp_path: Path) -> None:
    recipe, out = again
    often = Distill(
        train=replace(SETUP, checkpoint_seconds=9.0),
        teacher_cache=tmp_path / "kept",
        require_improvement=False,
    )
    run(replace(recipe, steps=(*recipe.steps[:2], often)), out)
    assert seen == []
