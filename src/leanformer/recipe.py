"""A recipe: a model, data, and the steps that make the model small, in the open.

    model = "path/or/hub-name"

    [data]
    path = "bundled:intents"

    [[steps]]
    use = "finetune"

    [[steps]]
    use = "shrink"
    layers = 3

    [[steps]]
    use = "distill"
    objectives = [{ use = "soft-targets", temperature = 2.0 }, { use = "hidden-states" }]

Each finished step leaves its model in a folder of its own, so that an interrupted run goes on from
the last one, and within a training from its last checkpoint.
"""

import copy
import json
import shutil
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from leanformer import attention, distill, prune, quantize, train
from leanformer.core import codec
from leanformer.core.files import write_text
from leanformer.core.machine.device import device_of, find_device
from leanformer.core.ranges import Seed, Share, ranged
from leanformer.core.record import Record
from leanformer.core.step import Step, steps_of
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Source
from leanformer.data.relabel import relabeled
from leanformer.measure.promise import Confidence
from leanformer.models.io.load import has_head, head_labels, load_model
from leanformer.models.io.save import save_model
from leanformer.tasks import served_kind

STEPS: tuple[type[Step], ...] = tuple(
    step for family in (train, attention, prune, distill, quantize) for step in steps_of(family)
)
"""Everything that a recipe may list; each family lists its own."""


@dataclass(frozen=True, kw_only=True)
@ranged
class Recipe:
    """What is done to which model with which data."""

    model: str
    """Folder or hub name of the model that the steps change."""
    data: Source
    """Where the texts are."""
    steps: tuple[Step, ...]
    """What is done, in order."""
    teacher: str | None = None
    """Folder or hub name of the teacher; None = the model as it is after fine-tuning."""
    name: str = "student"
    """How the record and the report call the result."""
    fresh_head: bool = False
    """Give the model a new head in place of its own, e.g. of one that was trained for other labels;
    `finetune` or `distill` must train it."""
    seed: Seed = 0
    """Decides everything random."""
    device: str = "auto"
    """Where models are trained: "auto" = the accelerator where there is one, "cpu", "cuda",
    "cuda:1", "mps". A run may go on on another one."""
    measure: bool = True
    """At the end, time the result beside its teacher and the usual baselines, and report."""
    keep: Share = 0.99
    """Share of the teacher's quality that the report asks for."""
    confidence: Confidence = 0.9
    """How sure the development split has to be of that for it to be called proven."""

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("steps: none is named; `leanformer list` shows what there is")


def read(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """The recipe in a TOML file, with `path.to.field=value` settings applied.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no TOML, or something in it does not fit; the message names the
            place.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no TOML ({error})") from error
    for setting in settings:
        codec.override(table, setting)
    recipe: Recipe = codec.decode(Recipe, table)
    return recipe


def align_labels(dataset: Dataset, *models: str | None) -> Dataset:
    """The data set with its labels in the order of the first trained head among `models`.

    Args:
        dataset: The data.
        models: Folders or hub names of models, whose heads may be trained or not; None is skipped.

    Raises:
        OSError: There is no such model.
        ValueError: The head was trained for other labels or another task.
    """
    task = dataset.task
    for model in models:
        if model is not None and task.labels:
            labels = head_labels(model, task.about.head, task.labels, task.about.problem_type)
            if labels is not None:
                return relabeled(dataset, labels)
    return dataset


def own_head(recipe: Recipe) -> str | None:
    """The model, unless its head is to be a new one: whose trained head may count."""
    return None if recipe.fresh_head else recipe.model


def open_model(
    source: str, dataset: Dataset, seed: int, *, fresh_head: bool = False
) -> tuple[Any, Any]:
    """Model and tokenizer with a head that fits the task; an absent head is new and seeded.

    Args:
        source: Folder or hub name.
        dataset: The data, its labels in the order of a trained head (`align_labels`).
        seed: Seed of a new head.
        fresh_head: Replace a head that is there by a new one.

    Raises:
        OSError: There is no such model.
        ValueError: It cannot be loaded, or its head does not fit the task.
    """
    task = dataset.task
    return load_model(
        source,
        task.about.head,
        num_labels=None if task.about.form is None else task.outputs,
        labels=task.labels or None,
        fresh_head=fresh_head,
        seed=seed,
        problem_type=task.about.problem_type,
    )


def run(
    recipe: Recipe,
    folder: Path,
    *,
    dataset: Dataset | None = None,
    record: Record | None = None,
    watch: Callable[[str, Any], None] | None = None,
) -> Workspace:
    """Do what the recipe says; what an earlier, interrupted run finished is not done again.

    Args:
        recipe: What to do.
        folder: Where the models of the steps go, each in `NN-step/`.
        dataset: The recipe's data, where the caller has read it already, with its labels in the
            order of a trained head (`align_labels`).
        record: Where events go; None = `record.jsonl` in `folder`.
        watch: Called with the name and the progress of each training step.

    Raises:
        ValueError: Data, model or steps do not fit together, this machine has no such device, or
            `folder` holds another recipe's run.
        NoEffect: A step had no effect.
    """
    find_device(recipe.device)
    if dataset is None:
        dataset = align_labels(recipe.data.read(), own_head(recipe), recipe.teacher)
    check_exports(recipe, dataset.task.kind)
    _claim(folder, recipe)
    workspace = _begin(recipe, folder, dataset, record or Record(folder / "record.jsonl"), watch)
    for number, step in enumerate(recipe.steps):
        name = step.technique  # type: ignore[attr-defined]
        place = folder / f"{number:02}-{name}"
        workspace = workspace.with_(folder=place, saved=None, proofs=())
        if (place / "done.json").is_file():
            workspace = _finished(workspace, place / "model", dataset, recipe.seed)
        else:
            workspace = _do(step, name, workspace)
        if step.makes_teacher and recipe.teacher is None:
            workspace = workspace.with_(
                teacher=copy.deepcopy(workspace.model),
                teacher_tokenizer=workspace.tokenizer,
                teacher_saved=str(workspace.saved),
            )
    return workspace


def check_exports(recipe: Recipe, kind: str) -> None:
    """Refuse a step that exports a graph where the task has none, before anything is done.

    Raises:
        ValueError: There is such a step.
    """
    for step in recipe.steps:
        if step.exports:
            name = step.technique  # type: ignore[attr-defined]
            try:
                served_kind(kind)
            except ValueError as error:
                raise ValueError(f"steps: {name}: {error}") from error


def _begin(
    recipe: Recipe,
    folder: Path,
    dataset: Dataset,
    record: Record,
    watch: Callable[[str, Any], None] | None,
) -> Workspace:
    device = find_device(recipe.device)
    torch.manual_seed(recipe.seed)
    model, tokenizer = open_model(recipe.model, dataset, recipe.seed, fresh_head=recipe.fresh_head)
    model = model.to(device)
    teacher, theirs, place = None, None, recipe.teacher
    if place is not None:
        teacher, theirs = open_model(place, dataset, recipe.seed)
        teacher = teacher.to(device)
    elif not recipe.fresh_head and has_head(recipe.model, dataset.task.about.head):
        teacher, theirs, place = copy.deepcopy(model), tokenizer, recipe.model
    return Workspace(
        name=recipe.name,
        model=model,
        tokenizer=tokenizer,
        dataset=dataset,
        folder=folder,
        record=record,
        teacher=teacher,
        teacher_tokenizer=theirs,
        teacher_saved=place,
        seed=recipe.seed,
        watch=watch,
    )


def _do(step: Step, name: str, workspace: Workspace) -> Workspace:
    started = time.perf_counter()
    workspace = step.apply(workspace)
    if workspace.saved is None:
        place = workspace.folder / "model"
        save_model(workspace.model, workspace.tokenizer, place, overwrite=True)
        workspace = workspace.with_(saved=place)
    workspace.record.write(
        "step",
        model=workspace.name,
        step=name,
        settings=codec.encode(step),
        proofs=[asdict(proof) for proof in workspace.proofs],
        seconds=time.perf_counter() - started,
    )
    write_text(workspace.folder / "done.json", json.dumps({"step": name}))
    shutil.rmtree(workspace.folder / "checkpoint", ignore_errors=True)
    return workspace


def _finished(workspace: Workspace, place: Path, dataset: Dataset, seed: int) -> Workspace:
    model, tokenizer = open_model(str(place), dataset, seed)
    model = model.to(device_of(workspace.model))
    return workspace.with_(model=model, tokenizer=tokenizer, saved=place)


def _claim(folder: Path, recipe: Recipe) -> None:
    """Keep the recipe beside its results, and refuse to mix two; the device may change."""
    kept, recipe = folder / "recipe.json", replace(recipe, device="auto")
    if kept.is_file() and not codec.same(kept, recipe):
        raise ValueError(
            f"{folder} holds the run of another recipe; name another folder, or remove it first"
        )
    if not kept.is_file():
        write_text(kept, json.dumps(codec.encode(recipe), indent=1, sort_keys=True))
