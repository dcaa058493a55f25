"""Distillation as a step: the model learns from the workspace's teacher.

It learns on the training texts and on the unlabelled ones; a teacher needs no gold labels (Turc et
al. 2019), so every text of the domain helps. Teacher and student may have different vocabularies:
each reads the text with its own tokenizer.
"""

from contextlib import nullcontext
from dataclasses import field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Encoded, encode_examples
from leanformer.data.task import joined
from leanformer.distill.augmentation import Augmentation
from leanformer.distill.distillation import Distillation, translation
from leanformer.distill.kept_outputs import KeptOutputs, key_of
from leanformer.distill.objective import Objective, dims_of
from leanformer.distill.objectives import SoftTargets
from leanformer.train.dropout import without_dropout
from leanformer.train.evaluate import judge, outputs
from leanformer.train.masking import masking
from leanformer.train.setup import TrainSetup
from leanformer.train.trained import Choice, trained


@technique(
    "distill", paper="Hinton et al. 2015, arXiv:1503.02531; Turc et al. 2019, arXiv:1908.08962"
)
class Distill(Step):
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

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model; it ends at the best quality on the development split.

        Raises:
            ValueError: There is no teacher, or the two tokenizers do not suit the objectives.
            NoEffect: `regain` is set and the student ends no better than it began.
        """
        if workspace.teacher is None:
            raise ValueError(
                "distill: there is no teacher; name one, or put a finetune step before"
            )
        dataset, task = workspace.dataset, workspace.dataset.task
        texts = joined(dataset.train, dataset.unlabelled if self.unlabelled else None, task.kind)
        theirs = workspace.teacher_tokenizer or workspace.tokenizer
        if self.augmentation is not None:
            vectors = workspace.teacher.get_input_embeddings().weight
            more = self.augmentation.augment(dataset.train, theirs, vectors, workspace.seed)
            texts = joined(texts, more, task.kind)
        student = encode_examples(texts, workspace.tokenizer, task.kind, self.max_length)
        dev = encode_examples(dataset.dev, workspace.tokenizer, task.kind, self.max_length)
        targets = None
        if task.kind == "embedding":
            encoded = encode_examples(dataset.dev, theirs, task.kind, self.max_length)
            targets = np.stack(outputs(workspace.teacher, encoded, task.kind))
        hide = None
        if task.kind == "masked-lm":
            hide = masking(workspace.tokenizer, self.masked)
            dev = hide.encoded(dev)
        evaluate = judge(dev, task, targets, self.train.precision)
        translate = translation(workspace.tokenizer, theirs)
        kept = None if hide is not None else self._kept(workspace, student, translate)
        torch.manual_seed(workspace.seed)  # projections of the objectives begin at random
        loss = Distillation(
            self.objectives,
            workspace.model,
            workspace.teacher,
            task,
            translate,
            self.noise,
            workspace.tokenizer.all_special_ids,
            hide,
            kept,
        )
        with nullcontext() if self.dropout else without_dropout(workspace.model):
            return trained(
                workspace,
                student,
                loss,
                self.train,
                evaluate,
                max_length=self.max_length,
                choose=self.choose,
                needed=self.regain,
            )

    def _kept(
        self, workspace: Workspace, encoded: Encoded, translate: Tensor | None
    ) -> KeptOutputs | None:
        if self.keep_outputs is None:
            return None
        teacher, task = workspace.teacher, workspace.dataset.task
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
