"""A recipe: a model, data, and the steps that make the model small, in the open.

    model = "path/or/hub-name"

    [data]
    path = "bundled:intents"

    [[steps]]
    use = "finetune"

    [[steps]]
    use = "shrink"
    layers = 3

    [[steps]]
    use = "distill"
    objectives = [{ use = "soft-targets", temperature = 2.0 }, { use = "hidden-states" }]

`run` does what it says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leanformer import attention, distill, prune, quantize, retrieve, train
from leanformer.core import codec
from leanformer.core.ranges import Seed, Share, ranged
from leanformer.core.step import Step, steps_of
from leanformer.core.storage.toml_file import read_recipe
from leanformer.data import Source
from leanformer.measure.promise import Confidence

STEPS: tuple[type[Step], ...] = tuple(
    step
    for family in (train, attention, prune, distill, quantize, retrieve)
    for step in steps_of(family)
)
"""Everything that a recipe may list; each family lists its own."""


@dataclass(frozen=True, kw_only=True)
@ranged
class Recipe:
    """What is done to which model with which data."""

    model: str
    """Folder or hub name of the model that the steps change."""
    data: Source
    """Where the texts are."""
    steps: tuple[Step, ...]
    """What is done, in order."""
    teacher: str | None = None
    """Folder or hub name of the teacher; None = the model as it is after fine-tuning."""
    name: str = "student"
    """How the record and the report call the result."""
    fresh_head: bool = False
    """Give the model a new head in place of its own, e.g. of one that was trained for other labels;
    `finetune` or `distill` must train it."""
    seed: Seed = 0
    """Decides everything random."""
    device: str = "auto"
    """Where models are trained: "auto" = the accelerator where there is one, "cpu", "cuda",
    "cuda:1", "mps". A run may go on on another one."""
    measure: bool = True
    """At the end, time the result beside its teacher and the usual baselines, and report."""
    keep: Share = 0.99
    """Share of the teacher's quality that the report asks for."""
    confidence: Confidence = 0.9
    """How sure the development split has to be of that for it to be called proven."""

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("steps: none is named; `leanformer list` shows what there is")


def read(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """The recipe in a TOML file, with `path.to.field=value` settings applied.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no TOML, or something in it does not fit; the message names the
            place.
    """
    table = read_recipe(path)
    for setting in settings:
        codec.override(table, setting)
    recipe: Recipe = codec.decode(Recipe, table)
    return recipe
