"""BERT miniatures: the grid of small BERTs of "Well-Read Students Learn Better".

    L in {2, 4, 6, 8, 10, 12} layers,  H in {128, 256, 512, 768} wide,  H / 64 heads,  4 H neurons

Five of the 24 have names: tiny (2/128), mini (4/256), small (4/512), medium (8/512), base (12/768).
The paper's finding is about their training: pre-trained with masked-LM first and then distilled on
unlabelled text, a plain miniature matches cleverer students; distilled from a random beginning, it
does not. A beginning cut from the teacher is a stand-in for that pre-training where no corpus is at
hand.
"""

from dataclasses import replace
from typing import Literal, get_args

from leanformer.core.ranges import Count
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.distill.students.pick import Pick, pick_layers
from leanformer.distill.students.source import check_teacher, ending_of
from leanformer.distill.students.tinybert import Init, with_bert
from leanformer.distill.students.widths import Widths
from leanformer.models.anatomy import layers_of

Size = Literal["tiny", "mini", "small", "medium", "base"]
SIZES: dict[str, tuple[int, int]] = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
}
"""Name -> layers and width."""
LAYERS = (2, 4, 6, 8, 10, 12)
HIDDEN = (128, 256, 512, 768)


def miniature_widths(hidden: int) -> Widths:
    """The widths of a miniature: heads of 64 channels, an FFN of four times the width."""
    return Widths(hidden, hidden // 64, 4 * hidden)


@technique("miniature", paper="Turc et al. 2019, arXiv:1908.08962")
class Miniature(Step):
    """One of the 24 published BERT sizes, tiny to base, begun with slices of the teacher."""

    size: Size = "mini"
    """tiny 2/128, mini 4/256, small 4/512, medium 8/512, base 12/768 (layers/width)."""
    layers: Count | None = None
    """Layers in place of the named ones: 2, 4, 6, 8, 10 or 12."""
    hidden: Count | None = None
    """Width in place of the named one: 128, 256, 512 or 768."""
    init: Init = "slice"
    """How it begins: at random as published, or with slices or the projection of the teacher."""
    pick: Pick = "published"
    """Which layers of the teacher it begins with: evenly from first to last, the bottom ones, or
    every k-th."""

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ValueError(f"size: {self.size!r} is not one of {', '.join(get_args(Size))}")
        for name, grid in (("layers", LAYERS), ("hidden", HIDDEN)):
            value = getattr(self, name)
            if value is not None and value not in grid:
                raise ValueError(
                    f"{name}: {value} is not one of {', '.join(map(str, grid))}, the miniatures'; "
                    "`tinybert` takes any"
                )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the teacher has the layers to begin with."""
        if sketch.teacher is not None:
            ending_of(sketch.teacher, "miniature")
            if self.init != "random":
                pick_layers(
                    self.layers or SIZES[self.size][0], self.pick, len(layers_of(sketch.teacher))
                )
        return replace(sketch, model=None)

    def apply(self, workspace: Workspace) -> Workspace:
        """Replace the model by a miniature made from the teacher.

        Raises:
            ValueError: There is no teacher, it is not a BERT, or it is smaller and the miniature
                was not to begin at random.
            NoEffect: The miniature is not smaller than the teacher.
        """
        check_teacher(workspace)
        ending_of(workspace.teacher, "miniature")
        layers, hidden = SIZES[self.size]
        widths = miniature_widths(self.hidden or hidden)
        return with_bert(workspace, self.layers or layers, self.pick, widths, self.init)
