"""A step changes a workspace and proves that it had an effect.

A family lists its steps in its `__init__.py`, one line each, by file and class:

    STEPS = (
        "shrink.Shrink",
        "sparsify.Sparsify",
    )

They are names and not classes, so that a family can be imported (transformers does, to load a
stored model) without importing training and export.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

from leanformer.core.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """What is known of the models when a step begins, before any step is done.

    Attributes:
        model: The model without its weights, which `Step.foresee` may cut in place; None = nothing
            is known of it.
        teacher: The teacher without its weights; None = nothing is known of it.
    """

    model: Any = None
    teacher: Any = None


class Step(ABC):
    """The interface of everything that a recipe lists.

    Attributes:
        makes_teacher: Whether the model is the teacher of later steps once this step has trained
            it, where the recipe names no other.
        exports: Whether it exports a graph, which not every task has.
    """

    family: ClassVar[str] = "step"
    makes_teacher: ClassVar[bool] = False
    exports: ClassVar[bool] = False

    @abstractmethod
    def apply(self, workspace: Workspace) -> Workspace:
        """Do the step; the model may be changed in place, the workspace is returned anew."""

    def foresee(self, sketch: Sketch) -> Sketch:
        """Refuse layers and names that are not there, before any step is done.

        Returns:
            What will be known after the step. A step that keeps the layers returns `sketch`; this
            default does not know what it does to them, and nothing is checked from there on.

        Raises:
            ValueError: The models have no such layer, or their shapes do not fit.
        """
        return replace(sketch, model=None)


def steps_of(family: ModuleType) -> tuple[type[Step], ...]:
    """The steps that a family lists, imported and thereby registered.

    Args:
        family: A package with `STEPS`, such as `leanformer.prune`.
    """
    found: list[type[Step]] = []
    for line in family.STEPS:
        file, _, name = line.rpartition(".")
        found.append(getattr(import_module(f"{family.__name__}.{file}"), name))
    return tuple(found)
