"""Distillation as a step: the model learns from the workspace's teacher.

It learns on the training texts and on the unlabelled ones; a teacher needs no gold labels (Turc et
al. 2019), so every text of the domain helps. Teacher and student may have different vocabularies:
each reads the text with its own tokenizer.
"""

from contextlib import nullcontext
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Encoded, Task, encode_examples
from leanformer.data.task import joined
from leanformer.distill.augmentation import Augmentation
from leanformer.distill.description import follow_description, lengths, prove_lengths
from leanformer.distill.distillation import Distillation, translation
from leanformer.distill.ensemble import check_comparable
from leanformer.distill.kept_outputs import KeptOutputs, key_of
from leanformer.distill.objective import Objective, dims_of
from leanformer.distill.objectives import SoftTargets
from leanformer.distill.substitution import Substitution as Substitution
from leanformer.distill.teachers import with_teachers
from leanformer.models.embedding import embedding_of
from leanformer.train.dropout import without_dropout
from leanformer.train.evaluate import judge, outputs
from leanformer.train.masking import Masking, masking
from leanformer.train.setup import TrainSetup
from leanformer.train.trained import Choice, Training, trained


@technique(
    "distill", paper="Hinton et al. 2015, arXiv:1503.02531; Turc et al. 2019, arXiv:1908.08962"
)
class Distill(Training):
    """Train the model to say what its teacher says."""

    objectives: tuple[Objective, ...] = (SoftTargets(),)
    """What is compared, and with which weight."""
    train: TrainSetup = field(default_factory=TrainSetup)
    """How to train."""
    max_length: int = 128
    """Longer texts are cut to this many tokens."""
    unlabelled: bool = True
    """Learn on the unlabelled texts of the data set too."""
    noise: float = 0.0
    """Share of tokens replaced by tokens of other texts, in each batch anew: helps where texts are
    few; the teacher labels what results."""
    augmentation: Augmentation | None = None
    """How more texts are made of the training texts, as in TinyBERT; None = not at all."""
    masked: float = 0.15
    """Share of tokens hidden where the task is a masked language model."""
    dropout: bool = False
    """Train the student with its dropout; a student too small to learn by heart needs none."""
    keep_outputs: Path | None = None
    """Folder for what the teacher says, so that it is asked once a text, also when other students
    follow; None = it is asked in each epoch anew."""
    teachers: tuple[str, ...] = ()
    """Folders or hub names of more teachers: the student learns the average of what all say."""
    average_hidden: bool = False
    """Average the hidden states of several teachers: where all began with the same weights."""
    choose: Choice = "best"
    """Which weights the student ends with: those of the best evaluation; or the last ones, where an
    objective teaches layers whose head comes later."""
    regain: bool = True
    """Fail when the student ends no better than it began."""

    def __post_init__(self) -> None:
        if not self.objectives:
            raise ValueError("objectives: none is named; soft-targets is the usual first one")
        if not 0 <= self.noise < 1:
            raise ValueError(f"noise: {self.noise} is not a share of the tokens in [0, 1)")
        gold = [objective for objective in self.objectives if objective.unit == "target"]
        if self.noise and gold:
            raise ValueError("noise: gold labels do not hold for noisy texts; drop one of the two")
        attentive = any(objective.needs_attention for objective in self.objectives)
        if self.keep_outputs is not None and (self.noise or attentive):
            raise ValueError(
                "keep_outputs: noise changes what the teacher reads each time, and what attention "
                "is given is too large to keep; drop one of the two"
            )
        if self.teachers:
            check_comparable(self.objectives, self.average_hidden)

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model; it ends at the best quality on the development split.

        Raises:
            OSError: One of `teachers` is not there.
            ValueError: There is no teacher, the tokenizers do not suit the objectives, teachers do
                not suit each other, an embedding student has another prompt or normalization than
                its teacher, or outputs are to be kept that differ each time.
            NoEffect: `regain` is set and the student ends no better than it began.
        """
        if workspace.teacher is None:
            raise ValueError(
                "distill: there is no teacher; name one, or put a finetune step before"
            )
        task = workspace.dataset.task
        theirs = workspace.teacher_tokenizer or workspace.tokenizer
        teacher = workspace.teacher
        if self.teachers:
            teacher = with_teachers(teacher, theirs, self.teachers, task, self.average_hidden)
        if task.kind == "embedding":
            follow_description(
                workspace.model, workspace.tokenizer, teacher, theirs, self.objectives
            )
        texts = self._texts(workspace, teacher, theirs)
        masked = task.kind == "masked-lm"
        hide = masking(workspace.tokenizer, self.masked) if masked else None
        dev, targets = self._dev(workspace, teacher, theirs, hide)
        evaluate = judge(dev, task, targets, self.train.precision)
        free = None if embedding_of(teacher).pooling.normalize else targets
        before = 1.0 if free is None else lengths(workspace.model, dev, free)
        loss = self._loss(workspace, teacher, theirs, texts, hide)
        with nullcontext() if self.dropout else without_dropout(workspace.model):
            done = trained(
                workspace,
                texts,
                loss,
                self.train,
                evaluate,
                max_length=self.max_length,
                choose=self.choose,
                needed=self.regain,
            )
        if free is None:
            return done
        return done.with_(proofs=(*done.proofs, prove_lengths(before, done.model, dev, free)))

    def _texts(self, workspace: Workspace, teacher: Any, theirs: Any) -> Encoded:
        """What the student learns on: labelled, unlabelled and made-up texts, as it reads them."""
        dataset, kind = workspace.dataset, workspace.dataset.task.kind
        texts = joined(dataset.train, dataset.unlabelled if self.unlabelled else None, kind)
        if self.augmentation is not None:
            vectors = teacher.get_input_embeddings().weight
            more = self.augmentation.augment(dataset.train, theirs, vectors, workspace.seed)
            texts = joined(texts, more, kind)
        return encode_examples(texts, workspace.tokenizer, kind, self.max_length)

    def _dev(
        self, workspace: Workspace, teacher: Any, theirs: Any, hide: Masking | None
    ) -> tuple[Encoded, NDArray[np.float32] | None]:
        """The development split as the student reads it; for embedding, the teacher's vectors."""
        task, dev = workspace.dataset.task, workspace.dataset.dev
        encoded = encode_examples(dev, workspace.tokenizer, task.kind, self.max_length)
        targets = None
        if task.kind == "embedding":
            _check_vectors(dims_of(workspace.model).hidden, dims_of(teacher).hidden)
            asked = encode_examples(dev, theirs, task.kind, self.max_length)
            targets = np.stack(outputs(teacher, asked, task.kind))
        if hide is not None:
            encoded = hide.encoded(encoded)
        return encoded, targets

    def _loss(
        self, workspace: Workspace, teacher: Any, theirs: Any, texts: Encoded, hide: Masking | None
    ) -> Distillation:
        """What the student is taught by, on `texts`."""
        task = workspace.dataset.task
        translate = translation(workspace.tokenizer, theirs)
        kept = self._kept(teacher, task, texts, translate)
        torch.manual_seed(workspace.seed)  # projections of the objectives begin at random
        return Distillation(
            self.objectives,
            workspace.model,
            teacher,
            task,
            translate,
            self.noise,
            workspace.tokenizer.all_special_ids,
            hide,
            kept,
        )

    def _kept(
        self, teacher: Any, task: Task, encoded: Encoded, translate: Tensor | None
    ) -> KeptOutputs | None:
        if self.keep_outputs is None:
            return None
        if task.kind == "masked-lm":
            raise ValueError(
                "keep_outputs: other tokens are hidden each time a text is seen, so that the "
                "teacher must be asked each time; leave keep_outputs out"
            )
        needs = any(objective.needs_hidden for objective in self.objectives)
        dims = dims_of(teacher)
        return KeptOutputs(
            self.keep_outputs,
            key_of(teacher, encoded, translate, task.kind),
            [encoded.length(index) for index in range(len(encoded))],
            width=dims.hidden if task.kind == "embedding" else task.outputs,
            per_token=task.kind == "tokens",
            hidden=(dims.layers + 1, dims.hidden) if needs else (0, 0),
        )


def _check_vectors(student: int, teacher: int) -> None:
    """Refuse vectors that cannot be judged by the teacher's."""
    if student != teacher:
        raise ValueError(
            f"distill: the student's vectors are {student} wide and the teacher's {teacher}, by "
            "which they are judged; keep the width, or learn from plain text as a masked language "
            "model (kind = 'masked-lm')"
        )
