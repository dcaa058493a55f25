"""What a student is made from, and what it takes the place of.

A student replaces the workspace's model. It is made from the teacher and reads with the teacher's
tokenizer: its embeddings are the teacher's, so its token ids must be too.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from leanformer.core.proof import Proof, require
from leanformer.core.workspace import Workspace
from leanformer.distill.teachers.translation import strangers
from leanformer.models.anatomy import layers_of
from leanformer.models.embedding import describe_embedding, embedding_of, without_widths

ENDINGS = ("Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")
"""How the classes of transformers end that a student can follow: BertModel, BertForMaskedLM …"""


def check_teacher(workspace: Workspace) -> None:
    """Refuse what no student can be made from.

    Raises:
        ValueError: There is no teacher, or the model's vocabulary was cut from the teacher's; a new
            student would undo it.
    """
    if workspace.teacher is None:
        raise ValueError(
            "there is no trained teacher to make a student from; name one, or put a finetune or "
            "pretrain step before"
        )
    _refuse_cut_vocabulary(workspace.tokenizer, workspace.teacher_tokenizer)


def with_student(workspace: Workspace, student: Any, layers: int, note: str) -> Workspace:
    """The workspace with `student` as its model, and the proof that it is smaller.

    Args:
        workspace: One with a teacher.
        student: The model made from it.
        layers: How many layers were asked for.
        note: Where its weights come from.

    Raises:
        NoEffect: The student is not smaller than the teacher.
    """
    proofs = require(prove_student(workspace.teacher, student, layers, note))
    tokenizer = workspace.teacher_tokenizer or workspace.tokenizer
    if workspace.dataset.task.about.output == "vector":
        described = embedding_of(workspace.teacher)
        if student.config.hidden_size != workspace.teacher.config.hidden_size:
            described = without_widths(described)
        describe_embedding(student, tokenizer, described)
    return workspace.with_(
        model=student.eval(),
        tokenizer=tokenizer,
        saved=None,
        proofs=tuple(proofs),
    )


def prove_student(teacher: Any, student: Any, layers: int, note: str = "") -> list[Proof]:
    """Layers as asked for, and fewer parameters: in the layers and in all."""
    ours, theirs = layers_of(student), layers_of(teacher)
    rows = [
        ("parameters of the layers", _count(theirs), _count(ours)),
        ("parameters", _count(teacher), _count(student)),
    ]
    depth = Proof(
        claim="layers",
        before=len(theirs),
        after=len(ours),
        unit="",
        ok=len(ours) == layers,
        asked=layers,
        note=note,
    )
    return [
        depth,
        *(Proof(claim=c, before=old, after=new, unit="", ok=new < old) for c, old, new in rows),
    ]


def ending_of(teacher: Any, student: str, stems: Sequence[str] = ("Bert",)) -> str:
    """The end of the teacher's class name, which says its head: one of `ENDINGS`.

    Args:
        teacher: A transformers model.
        student: The technique that asks, for the message.
        stems: How the class names of the teachers begin that it can follow.

    Raises:
        ValueError: The teacher is of another architecture, has another head, or is a decoder.
    """
    name = type(teacher).__name__
    config = getattr(teacher, "config", None)
    model_type = getattr(config, "model_type", name)
    if model_type not in [stem.lower() for stem in stems]:
        raise ValueError(
            f"{student}: the teacher is a {name} of architecture {model_type!r}, and this student "
            f"is made from {' or '.join(stems)} with layers of one shape; `shrink` makes other "
            "models smaller"
        )
    ending = name.removeprefix(next(s for s in stems if s.lower() == model_type))
    if ending not in ENDINGS:
        raise ValueError(
            f"{student}: the teacher is a {name}, whose head this student has not; heads are "
            f"{', '.join(ENDINGS)}"
        )
    if getattr(config, "is_decoder", False):
        raise ValueError(f"{student}: the teacher is a decoder (is_decoder); load it as an encoder")
    return ending


def alike(student: nn.Module, teacher: nn.Module) -> nn.Module:
    """The student on the teacher's device, in its precision."""
    weight = next(teacher.parameters())
    return student.to(device=weight.device, dtype=weight.dtype)


def _refuse_cut_vocabulary(ours: Any, theirs: Any) -> None:
    if theirs is None or ours is theirs:
        return
    whole, cut = set(theirs.get_vocab()), set(ours.get_vocab())
    if cut != whole and not strangers(ours, theirs):
        raise ValueError(
            f"the model's vocabulary was cut to {len(cut & whole)} of the teacher's {len(whole)} "
            "pieces, and a new student would have them all again; put cut-vocabulary after the "
            "student"
        )


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
