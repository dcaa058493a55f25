"""A recipe: a model, data, and the steps that make the model small; read, checked and done."""

from leanformer.recipe.opening import (
    align_labels,
    check_exports,
    knows_task,
    open_model,
    own_head,
)
from leanformer.recipe.recipe import STEPS, Recipe, read
from leanformer.recipe.running import Run, begin, run

__all__ = [
    "STEPS",
    "Recipe",
    "Run",
    "align_labels",
    "begin",
    "check_exports",
    "knows_task",
    "open_model",
    "own_head",
    "read",
    "run",
]
