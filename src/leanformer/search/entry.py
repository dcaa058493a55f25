"""One runnable model of a search, as it is handed on from part to part.

Who made it passes on the model and its tokenizer as well as the folder and the quality, so that
nobody opens again what is open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanformer.models.anatomy.shape import shape_of
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.session import Precision
from leanformer.runtime.system import System
from leanformer.search.judged import Judged

TEACHER = "teacher · PyTorch fp32"
INT8_TEACHER = "teacher · OpenVINO int8"
FUSED_TEACHER = "teacher · ONNX Runtime fp32"
SIMPLEST = "TF-IDF · linear model"
NGRAMS = "n-grams"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One runnable model.

    Attributes:
        name: How the record calls it.
        role: "teacher", "baseline" or "candidate".
        folder: Where it lies, with its manifest.
        backend: What runs it.
        precision: What its products run in.
        system: The kind of system, as in manifests.
        judged: What it says about the development split, as it is served, and how well.
        model: The PyTorch model; None of what is not a transformer.
        tokenizer: Its tokenizer.
    """

    name: str
    role: str
    folder: Path
    backend: str
    precision: Precision
    judged: Judged
    system: str = "transformer"
    model: Any = None
    tokenizer: Any = None

    @property
    def dev(self) -> float:
        """Quality on the development split."""
        return self.judged.quality

    @property
    def shape(self) -> dict[str, Any]:
        """Its widths, for the record; empty of what is not a transformer."""
        return {} if self.model is None else shape_of(self.model).json()

    def open(self, threads: int | None = None) -> System:
        """The system that serves it."""
        return open_system(self.folder, self.backend, self.precision, threads)


def whole_teacher(entries: Mapping[str, Entry]) -> Entry:
    """The whole teacher as it may be chosen: in int8, or in fp32 where it has no int8 graph."""
    return entries.get(INT8_TEACHER) or entries[TEACHER]
