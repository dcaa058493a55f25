"""TinyBERT's student: a BERT of any depth and width.

The published ones have 4 layers of width 312 (14.5 M parameters, 4.8 M of them in the layers) and 6
layers of width 768. They began at random and were pre-trained; without a corpus for that, a student
does better to begin with what the teacher has: chosen layers, cut to the student's widths
(`leanformer.distill.students.widths`). Where width, heads and FFN are the teacher's, the layers are
copied as they are.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from leanformer.core.ranges import Count, Index
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.distill.students.pick import Pick, pick_layers
from leanformer.distill.students.source import (
    alike,
    check_teacher,
    ending_of,
    with_student,
)
from leanformer.distill.students.widths import Widths, narrowed
from leanformer.models.anatomy import layers_of

Init = Literal["random", "slice", "svd"]


def tinybert_from(
    teacher: Any,
    layers: Sequence[int] | int,
    widths: Widths,
    *,
    init: Init = "slice",
    seed: int = 0,
) -> Any:
    """A BERT with the teacher's head and vocabulary, of another depth and width.

    Args:
        teacher: A `BertModel`, or one with a head for classification, tokens or masked-LM; it is
            left as it is.
        layers: Which layers of the teacher to begin with; with init "random" their number.
        widths: Width, heads and FFN of the student.
        init: At random, or from the teacher by slices or by projection.
        seed: Seed of a random beginning.

    Raises:
        ValueError: The teacher is not a BERT, or the widths fit neither themselves nor the teacher.
    """
    ending = ending_of(teacher, "tinybert")
    check_widths(widths, teacher_widths(teacher), init)
    depth = layers if isinstance(layers, int) else len(layers)
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers, config.hidden_size = depth, widths.hidden
    config.num_attention_heads, config.intermediate_size = widths.heads, widths.ffn
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = alike(type(teacher)(config), teacher)
    if init != "random":
        assert not isinstance(layers, int), "layers to begin with are named"
        state = narrowed(
            chosen_layers(teacher.state_dict(), layers),
            widths,
            teacher_widths(teacher),
            project=init == "svd",
            pooled=ending == "ForSequenceClassification",
        )
        student.load_state_dict(state, strict=True)
    return student.eval()


def chosen_layers(state: dict[str, Tensor], layers: Sequence[int]) -> dict[str, Tensor]:
    """The state of a BERT with any head, of these layers only, numbered anew."""
    mark = "encoder.layer."
    chosen = {key: value for key, value in state.items() if mark not in key}
    for number, layer in enumerate(layers):
        for key, value in state.items():
            prefix, found, rest = key.partition(f"{mark}{layer}.")
            if found:
                chosen[f"{prefix}{mark}{number}.{rest}"] = value
    return chosen


def teacher_widths(teacher: Any) -> Widths:
    """The widths of a BERT."""
    config = teacher.config
    return Widths(config.hidden_size, config.num_attention_heads, config.intermediate_size)


def check_widths(student: Widths, teacher: Widths, init: Init) -> None:
    """Refuse widths that no BERT can have, or that cannot be cut from the teacher's.

    Raises:
        ValueError: Naming the field.
    """
    if student.hidden % student.heads:
        raise ValueError(
            f"hidden: {student.hidden} is not a multiple of the {student.heads} heads; every head "
            "has the same width"
        )
    for name in ("hidden", "ffn"):
        ours, theirs = getattr(student, name), getattr(teacher, name)
        if ours > theirs and init != "random":
            raise ValueError(
                f"{name}: {ours} is wider than the teacher's {theirs} and cannot be cut from it; "
                "ask for less, or begin at random (init = 'random')"
            )


@technique("tinybert", paper="Jiao et al. 2020 (TinyBERT), arXiv:1909.10351")
class Tinybert(Step):
    """A BERT of any depth and width, begun with what fits of the teacher: very small ones."""

    layers: Count | tuple[Index, ...] = 4
    """Layers of the student: how many, or which of the teacher's to begin with."""
    hidden: Count | None = 312
    """Width of the student; None = the teacher's."""
    ffn: Count | None = 1200
    """FFN neurons of each layer; None = as many as the teacher's."""
    heads: Count | None = 12
    """Attention heads of each layer; None = as many as the teacher's."""
    init: Init = "slice"
    """How it begins: at random, with slices of the teacher's weights, or with their projection on
    the top singular directions of its word embeddings."""
    pick: Pick = "published"
    """How the layers of a number are chosen: evenly from first to last, the bottom ones, or every
    k-th."""

    def __post_init__(self) -> None:
        if self.init == "random" and isinstance(self.layers, tuple):
            raise ValueError(
                "layers: a random student takes no layers of the teacher; say how many"
            )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the teacher has the layers to begin with."""
        if sketch.teacher is not None:
            ending_of(sketch.teacher, "tinybert")
            if self.init != "random":
                pick_layers(self.layers, self.pick, len(layers_of(sketch.teacher)))
        return replace(sketch, model=None)

    def apply(self, workspace: Workspace) -> Workspace:
        """Replace the model by a BERT made from the teacher.

        Raises:
            ValueError: There is no teacher, it is not a BERT, or layers or widths do not fit it.
            NoEffect: The student is not smaller than the teacher.
        """
        check_teacher(workspace)
        teacher = workspace.teacher
        ending_of(teacher, "tinybert")
        own = teacher_widths(teacher)
        widths = Widths(self.hidden or own.hidden, self.heads or own.heads, self.ffn or own.ffn)
        check_widths(widths, own, self.init)
        return with_bert(workspace, self.layers, self.pick, widths, self.init)


def with_bert(
    workspace: Workspace,
    layers: int | tuple[int, ...],
    pick: Pick,
    widths: Widths,
    init: Init,
) -> Workspace:
    """The workspace, which has a teacher, with a BERT student of these sizes as its model.

    Raises:
        ValueError: Layers or widths do not fit the teacher.
        NoEffect: The student is not smaller than the teacher.
    """
    teacher = workspace.teacher
    taken: list[int] | int
    if init == "random" and isinstance(layers, int):
        taken, count, note = layers, layers, "random weights"
    else:
        taken = pick_layers(layers, pick, len(layers_of(teacher)))
        count, note = len(taken), f"layers {', '.join(map(str, taken))} of the teacher, {init}"
    student = tinybert_from(teacher, taken, widths, init=init, seed=workspace.seed)
    return with_student(workspace, student, count, note)
