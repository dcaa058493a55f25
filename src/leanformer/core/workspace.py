"""What the steps of a recipe hand to each other."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leanformer.core.proof import Proof
from leanformer.core.record import Record

Watch = Callable[[str, Any], None]
"""Told what is done: a name, and a text or the progress of a training."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A model with all that the steps need to change it.

    The model itself may be changed in place (a copy would double the peak memory that the toolkit
    exists to save); the workspace is frozen, and a step returns a new one.

    Attributes:
        name: How records call the model.
        model: The transformers model being made small.
        tokenizer: Its fast tokenizer.
        dataset: `leanformer.data.Dataset`: the splits, the task, the unlabelled texts.
        folder: Where steps may keep files (checkpoints, exports).
        record: Where events go.
        teacher: The model whose outputs are the target, or None before there is one.
        teacher_tokenizer: Its tokenizer, where it differs from the student's (a cut vocabulary).
        teacher_saved: Folder or hub name of the teacher, or None.
        seed: The seed of everything random.
        proofs: What the last step measured of its own effect.
        watch: Called with the name and the progress at each training step, or None.
        saved: Where the model lies on disk as it is now, or None.
    """

    name: str
    model: Any
    tokenizer: Any
    dataset: Any
    folder: Path
    record: Record
    teacher: Any = None
    teacher_tokenizer: Any = None
    teacher_saved: str | None = None
    seed: int = 0
    proofs: tuple[Proof, ...] = ()
    watch: Watch | None = None
    saved: Path | None = None

    def with_(self, **changes: Any) -> "Workspace":
        """A copy with some fields changed."""
        return replace(self, **changes)
