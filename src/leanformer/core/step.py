"""A step changes a workspace and proves that it had an effect."""

from abc import ABC, abstractmethod
from typing import ClassVar

from leanformer.core.workspace import Workspace


class Step(ABC):
    """The interface of everything that a recipe lists."""

    family: ClassVar[str] = "step"

    @abstractmethod
    def apply(self, workspace: Workspace) -> Workspace:
        """Do the step; the model may be changed in place, the workspace is returned anew."""
