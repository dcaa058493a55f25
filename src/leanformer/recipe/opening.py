"""The data and models of a recipe, opened so that they fit; what is refused before any work."""

from typing import Any

from leanformer.data import Dataset
from leanformer.data.relabel import relabeled
from leanformer.models.io.load import has_head, head_labels, load_model
from leanformer.recipe.recipe import Recipe
from leanformer.tasks import served_kind


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


def knows_task(model: str, dataset: Dataset, *, fresh_head: bool = False) -> bool:
    """Whether a model is a teacher as it is: it has a trained head for the task, which stays.

    Raises:
        OSError: There is no such model.
    """
    return not fresh_head and has_head(model, dataset.task.about.head)


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
