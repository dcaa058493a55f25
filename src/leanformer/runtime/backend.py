"""A backend: a runtime that executes the graph of a transformer.

Each is one file in `backends/`, which says how it is called, in which precisions it runs, where its
graph lies in a served folder, and how a graph is exported and opened. Nothing here needs torch, and
neither does a backend until it exports.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from leanformer.core.proof import Proof
from leanformer.core.registry import Registry
from leanformer.runtime.session import Precision, Session

FORMAT = 3  # of served folders; 1 had a folder for each precision, 2 no checksum of its description


class Backend(ABC):
    """Exports and opens graphs; has no state.

    Attributes:
        name: How manifests and commands call it.
        title: How reports call it.
        precisions: What it runs in; the first one that a folder holds is opened, unless named.
        exact_int8: Whether its int8 products are exact on CPUs without VNNI too.
        session: Opens a graph file, unless the backend opens folders in another way.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    precisions: ClassVar[tuple[Precision, ...]]
    exact_int8: ClassVar[bool] = True
    session: ClassVar[Callable[..., Session]]

    @abstractmethod
    def graph_file(self, precision: Precision, layout: int = FORMAT) -> str:
        """Path of the graph in a served folder of format `layout`, with "/" between its parts."""

    def open(
        self,
        folder: Path,
        precision: Precision,
        *,
        kind: str,
        pairs: bool,
        threads: int | None,
        concurrency: int,
        layout: int = FORMAT,
    ) -> Session:
        """The graph of a served folder, ready to run.

        Args:
            folder: The folder; its files are already checked.
            precision: What the products run in.
            kind: The task.
            pairs: Whether inputs are pairs of texts.
            threads: Threads that compute one call; None = all cores.
            concurrency: Calls that are computed at a time.
            layout: Format of the folder.
        """
        path = folder / self.graph_file(precision, layout)
        return self.session(path, precision, threads=threads, concurrency=concurrency)

    @abstractmethod
    def export(
        self,
        model: Any,
        kind: str,
        folder: Path,
        *,
        precision: Precision,
        calibration: Any,
        modules_to_not_convert: tuple[str, ...] = (),
    ) -> list[Proof]:
        """Write the graph of `model` into a served folder, and prove what it executes.

        Args:
            model: The model with its head; it may carry int8 scales.
            kind: The task.
            folder: The served folder.
            precision: What to store and execute.
            calibration: A `Calibration`: texts to find ranges on; tells whether inputs are pairs.
            modules_to_not_convert: Linear layers that stay in floating point.
        """

    def files(self, names: Sequence[str], precision: Precision, layout: int = FORMAT) -> list[str]:
        """Those of a folder's files that only this graph is made of: those of its own stem."""
        graph = PurePosixPath(self.graph_file(precision, layout))
        return [
            name for name in names if PurePosixPath(name).with_suffix("") == graph.with_suffix("")
        ]

    def depends_on_batch(self, graph: Path) -> bool:
        """Whether a graph takes the scales of its inputs from the whole batch it is given."""
        return False


_REGISTRY = Registry[Backend]("backend")


def register(cls: type[Backend]) -> type[Backend]:
    """Make a backend known by its name."""
    _REGISTRY.add(cls, cls())
    return cls


def registered() -> tuple[Backend, ...]:
    """All backends, in the order in which they registered."""
    return _REGISTRY.all()


def find_backend(name: str) -> Backend:
    """The backend called `name`.

    Raises:
        ValueError: There is none; the message has the nearest name and the list.
    """
    return _REGISTRY.find(name)
