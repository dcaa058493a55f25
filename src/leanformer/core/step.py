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
from importlib import import_module
from types import ModuleType
from typing import ClassVar

from leanformer.core.workspace import Workspace


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
