"""A recipe from its first step to its report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset
from leanformer.models.load import has_head
from leanformer.quantize.int8 import Int8
from leanformer.recipe import HEADS, Recipe, run
from leanformer.report import write_report
from leanformer.runtime.session import served_kind
from leanformer.search.compress import check_model
from leanformer.search.contest import Contest
from leanformer.search.describe import describe
from leanformer.search.finish import finish, finished
from leanformer.search.request import Request
from leanformer.train.finetune import Finetune


def conduct(
    recipe: Recipe,
    folder: Path,
    *,
    command: str = "",
    watch: Callable[[str, Any], None] | None = None,
) -> tuple[Workspace, Path | None]:
    """Run `recipe`, measure its result beside teacher and baselines, and write the report.

    Args:
        recipe: What to do.
        folder: Where everything goes; one that holds the same recipe's run is resumed.
        command: The command line that was given, for the report.
        watch: Called with the name and the progress of each training step.

    Returns:
        The workspace after the last step, and the path of the report; None where the recipe asks
        for no measuring.

    Raises:
        ValueError: Something does not fit together, or there is nothing to compare with.
        NoEffect: A step had no effect.
    """
    folder = folder.resolve()  # what is kept there names paths in it
    dataset = recipe.data.read()
    record = Record(folder / "record.jsonl")
    request = Request(model=recipe.model, data=recipe.data, keep=recipe.keep, seed=recipe.seed)
    check_model(request, dataset)
    if recipe.measure:
        _check_measurable(recipe, dataset)
    describe(record, dataset, request, command)
    done = run(recipe, folder, dataset=dataset, record=record, watch=watch)
    if not recipe.measure:
        return done, None
    if finished(record):
        return done, write_report(record.path, folder / "report.html")
    assert done.teacher_saved is not None
    contest = Contest(dataset, record, request)
    contest.enter_teacher(done.teacher_saved)
    contest.enter_baselines(folder / "baselines", watch)
    contest.enter_student(recipe.name, done)
    finish(contest, request, folder, watch)
    return done, write_report(record.path, folder / "report.html")


def _check_measurable(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse before any work what could not be measured after it."""
    served_kind(dataset.task.kind)
    if not isinstance(recipe.steps[-1], Int8):
        raise ValueError(
            "steps: the last one must be int8 for the result to be measured, or set measure = false"
        )
    tuned = any(isinstance(step, Finetune) for step in recipe.steps)
    if not (recipe.teacher or tuned or has_head(recipe.model, HEADS[dataset.task.kind])):
        raise ValueError("teacher: there is none to compare with; name one, or set measure = false")
