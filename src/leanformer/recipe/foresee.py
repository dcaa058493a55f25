"""Every step of a recipe tried on models without weights, before the first one is done.

A layer, a name or a pattern that does not fit would otherwise be refused when its step begins,
after the fine-tuning before it is paid for.
"""

from dataclasses import replace

import torch

from leanformer.core.step import Sketch
from leanformer.core.workspace import Workspace
from leanformer.models.sketch import without_weights
from leanformer.recipe.recipe import Recipe


def foresee(recipe: Recipe, workspace: Workspace) -> None:
    """Refuse a step that the models cannot take, as far as it can be told from their shapes.

    Args:
        recipe: The steps.
        workspace: Its models are opened and as they are before the first step.

    Raises:
        ValueError: A step names what is not there; the message names the step.
    """
    teacher = None if workspace.teacher is None else without_weights(workspace.teacher)
    sketch = Sketch(model=without_weights(workspace.model), teacher=teacher)
    for number, step in enumerate(recipe.steps):
        name = step.technique  # type: ignore[attr-defined]
        try:
            with torch.random.fork_rng(devices=[]), torch.device("meta"):
                sketch = step.foresee(sketch)
        except ValueError as error:
            raise ValueError(f"steps[{number}] ({name}): {error}") from error
        if step.makes_teacher and recipe.teacher is None:
            model = None if sketch.model is None else without_weights(sketch.model)
            sketch = replace(sketch, teacher=model)
