"""A recipe, step by step; what an earlier run finished is not done again.

Each finished step leaves its model in a folder of its own, so that an interrupted run goes on from
the last one, and within a training from its last checkpoint. A folder holds the run of one model on
one data set: other data, another model or teacher are refused with the names of what differs. Steps
may change: the equal ones before the first change are not done again, and what was made of the
former ones stays aside (`recipe.stages`). Several ranks do a recipe together: rank 0
decides and writes, and the others train along (`train.ranks`).
"""

import copy
import time
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from leanformer.core import codec
from leanformer.core.identity.claim import changes, keep
from leanformer.core.identity.differences import listed
from leanformer.core.machine.device import device_of, find_device
from leanformer.core.ranks import follows
from leanformer.core.record import Record
from leanformer.core.step import Step
from leanformer.core.storage.lock import one_at_a_time
from leanformer.core.workspace import Watch, Workspace
from leanformer.data import Dataset
from leanformer.models.activation import describe_activation
from leanformer.models.digest import model_identity
from leanformer.models.io.save import save_model
from leanformer.recipe import stages
from leanformer.recipe.foresee import foresee
from leanformer.recipe.identity import WORDS, Identity, identify
from leanformer.recipe.opening import (
    align_labels,
    check_exports,
    knows_task,
    open_model,
    own_head,
)
from leanformer.recipe.recipe import Recipe
from leanformer.train.ranks import decide, join_ranks, lead
from leanformer.train.setup import TrainSetup


@dataclass(frozen=True, kw_only=True)
class Run:
    """A recipe whose models are open and whose folder is its own, ready to be done.

    Attributes:
        recipe: What to do.
        folder: Where the models of the steps go.
        workspace: What the first step begins with.
        keys: What tells the result of each step from others.
    """

    recipe: Recipe
    folder: Path
    workspace: Workspace
    keys: tuple[str, ...]

    def do(self) -> Workspace:
        """Do the steps that are not done.

        Raises:
            ValueError: Steps do not fit together, or a finished one was altered on disk.
            NoEffect: A step had no effect.
        """
        recipe, workspace = self.recipe, self.workspace
        for number, (step, key) in enumerate(zip(recipe.steps, self.keys, strict=True)):
            name = step.technique  # type: ignore[attr-defined]
            place = self.folder / f"{number:02}-{name}"
            events = decide(partial(_begin, place, key))
            workspace = workspace.with_(folder=place, saved=None, proofs=())
            if events is None:
                workspace = _do(step, name, workspace, recipe.seed)
            else:
                workspace = _finished(workspace, place / stages.MODEL, recipe.seed, events)
            if step.makes_teacher and recipe.teacher is None:
                workspace = workspace.with_(
                    teacher=copy.deepcopy(workspace.model),
                    teacher_tokenizer=workspace.tokenizer,
                    teacher_saved=str(workspace.saved),
                )
        return workspace


@one_at_a_time("folder")
def run(
    recipe: Recipe,
    folder: Path,
    *,
    dataset: Dataset | None = None,
    record: Record | None = None,
    watch: Watch | None = None,
) -> Workspace:
    """Do what the recipe says; what an earlier run finished is not done again.

    Args:
        recipe: What to do.
        folder: Where the models of the steps go, each in `NN-step/`.
        dataset: The recipe's data, where the caller has read it already, with its labels in the
            order of a trained head (`align_labels`).
        record: Where events go; None = `record.jsonl` in `folder`.
        watch: Called with the name and the progress of each training step.

    Raises:
        ValueError: Data, model or steps do not fit together, this machine has no such device, or
            `folder` holds the run of other data or another model.
        NoEffect: A step had no effect.
        FolderInUse: Another process works on `folder`.
    """
    return begin(recipe, folder, dataset=dataset, record=record, watch=watch).do()


def begin(
    recipe: Recipe,
    folder: Path,
    *,
    dataset: Dataset | None = None,
    record: Record | None = None,
    watch: Watch | None = None,
    write: bool = True,
) -> Run:
    """Open what a recipe names and make `folder` its own; no step is done.

    Takes and raises what `run` does; without `write` the folder is only checked.
    """
    join_ranks()  # a rank's device is known from then on
    find_device(recipe.device)
    if dataset is None:
        dataset = align_labels(recipe.data.read(), own_head(recipe), recipe.teacher)
    check_exports(recipe, dataset.task.kind)
    record = record or Record(folder / "record.jsonl")
    workspace = _open(recipe, folder, dataset, record, watch)
    foresee(recipe, workspace)
    identity = _identify(recipe, workspace)
    _claim(recipe, identity, workspace, write)
    keys = tuple(identity.key(number) for number in range(len(recipe.steps)))
    return Run(recipe=recipe, folder=folder, workspace=workspace, keys=keys)


def _open(
    recipe: Recipe, folder: Path, dataset: Dataset, record: Record, watch: Watch | None
) -> Workspace:
    device = find_device(recipe.device)
    torch.manual_seed(recipe.seed)
    model, tokenizer = open_model(recipe.model, dataset, recipe.seed, fresh_head=recipe.fresh_head)
    model = model.to(device)
    teacher, theirs, place = None, None, recipe.teacher
    if place is not None:
        teacher, theirs = open_model(place, dataset, recipe.seed)
        teacher = teacher.to(device)
    elif knows_task(recipe.model, dataset, fresh_head=recipe.fresh_head):
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


def _identify(recipe: Recipe, begun: Workspace) -> Identity:
    teacher = None
    if recipe.teacher is not None:
        teacher = model_identity(begun.teacher, begun.teacher_tokenizer)
    return identify(recipe, begun.dataset, model_identity(begun.model, begun.tokenizer), teacher)


def _claim(recipe: Recipe, identity: Identity, begun: Workspace, write: bool) -> None:
    """Keep the recipe and its identity beside its results; refuse to mix two runs.

    Where steps or the promise changed, a record of the run's own is begun anew and the former one
    stays beside it; in a record that others share, what it says of this model is forgotten.
    """
    kept, content = begun.folder / "recipe.json", identity.json()
    changed = changes(kept, content, WORDS)
    if not write or follows():
        return
    if changed:
        _say(
            begun,
            f"changed since the former run: {listed(changed)}; the steps before the first change "
            "are kept",
        )
        _forget(begun)
    if changed != []:
        keep(kept, codec.encode(replace(recipe, device="auto")), content)


def _forget(begun: Workspace) -> None:
    if begun.record.path.parent == begun.folder:
        begun.record.set_aside()
    else:
        begun.record.drop(lambda event: event.get("model") == begun.name)


def _begin(place: Path, key: str) -> list[dict[str, Any]] | None:
    """Make `place` the folder of its step; what the record says of it where it is finished."""
    stages.take(place, key)
    return stages.finished(place)


def _do(step: Step, name: str, workspace: Workspace, seed: int) -> Workspace:
    """Do a step: ranks train together, and rank 0 does and keeps the rest."""
    started = time.perf_counter()
    together = trains(step)
    done = step.apply(workspace) if together else workspace
    apply = (lambda given: given) if together else step.apply
    kept = lead(lambda: _kept(step, name, apply(done), started))
    if kept is not None:
        return kept
    return _opened(done, workspace.folder / stages.MODEL, seed)


def trains(step: Any) -> bool:
    """Whether a step trains a model, itself or by a step that it holds: ranks do it together."""
    if isinstance(step, TrainSetup):
        return True
    return is_dataclass(step) and any(trains(getattr(step, one.name)) for one in fields(step))


def _kept(step: Step, name: str, workspace: Workspace, started: float) -> Workspace:
    """Keep what came of a step, and say in the record what it did."""
    if workspace.saved is None:
        place = workspace.folder / stages.MODEL
        describe_activation(workspace.model, workspace.dataset.task.about)
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
    assert workspace.saved is not None
    stages.finish(workspace.folder, workspace.saved, _last_step(workspace))
    return workspace


def _finished(
    workspace: Workspace, place: Path, seed: int, events: list[dict[str, Any]]
) -> Workspace:
    """Take up a finished step; a record that was begun anew is told of it."""
    known = workspace.record.events()
    for event in ({**one, "model": workspace.name} for one in events):
        if event not in known:
            workspace.record.write(**event)
    return _opened(workspace, place, seed)


def _opened(workspace: Workspace, place: Path, seed: int) -> Workspace:
    """The workspace with the model that lies in `place`."""
    model, tokenizer = open_model(str(place), workspace.dataset, seed)
    model = model.to(device_of(workspace.model))
    return workspace.with_(model=model, tokenizer=tokenizer, saved=place)


def _last_step(workspace: Workspace) -> list[dict[str, Any]]:
    """What the record says of the step that has ended."""
    events = [one for one in workspace.record.events() if one.get("model") == workspace.name]
    steps = [place for place, event in enumerate(events) if event["event"] == "step"]
    return events[steps[-2] + 1 if len(steps) > 1 else 0 :]


def _say(workspace: Workspace, text: str) -> None:
    if workspace.watch is not None:
        workspace.watch(workspace.name, text)
