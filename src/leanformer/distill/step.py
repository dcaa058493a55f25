"""Distillation as a step: the model learns from the workspace's teacher.

It learns on the training texts and on the unlabelled ones; a teacher needs no gold labels (Turc et
al. 2019), so every text of the domain helps. Teacher and student may have different vocabularies:
each reads the text with its own tokenizer.
"""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leanformer.core.step import Proof, Step, require
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Batch, Task, encode_examples
from leanformer.data.task import joined
from leanformer.distill.augmentation import Augmentation
from leanformer.distill.noise import swapped
from leanformer.distill.objective import Objective, Outputs, dims_of
from leanformer.distill.objectives import SoftTargets
from leanformer.models.attended import attended
from leanformer.numerics.pooling import mean_pooled
from leanformer.train.dropout import without_dropout
from leanformer.train.evaluate import judge, outputs
from leanformer.train.loop import fit
from leanformer.train.loss import Loss, Term, Unit
from leanformer.train.masking import Masking, masking
from leanformer.train.progress import recorder
from leanformer.train.setup import TrainSetup


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
        before = evaluate(workspace.model)
        torch.manual_seed(workspace.seed)  # projections of the objectives begin at random
        still = nullcontext() if self.dropout else without_dropout(workspace.model)
        with still:
            fitted = fit(
                workspace.model,
                student,
                Distillation(
                    self.objectives,
                    workspace.model,
                    workspace.teacher,
                    task,
                    translation(workspace.tokenizer, theirs),
                    self.noise,
                    workspace.tokenizer.all_special_ids,
                    hide,
                ),
                self.train,
                evaluate=evaluate,
                folder=workspace.folder / "checkpoint",
                hooks=[recorder(workspace)],
                seed=workspace.seed,
            )
        assert fitted.best is not None
        proof = Proof(
            claim=f"{task.metric} on dev",
            before=before,
            after=fitted.best,
            unit="",
            ok=fitted.best > before or not self.regain,
            note=f"{len(student)} texts, {student.truncated} cut to {self.max_length} tokens",
        )
        return workspace.with_(proofs=tuple(require([proof])))


class Distillation(Loss):
    """The loss of a student beside its teacher.

    Args:
        objectives: What is compared.
        student: The model that is trained.
        teacher: The model that is followed; a half-precision copy of it is used and never trained.
        task: Kind and labels.
        translate: Teacher's token id for each of the student's, [V]; None = they are the same.
        noise: Share of tokens replaced by others of the batch.
        special: Token ids that are never replaced.
        hide: How tokens are hidden from a masked language model; both models see the same.
    """

    def __init__(
        self,
        objectives: tuple[Objective, ...],
        student: nn.Module,
        teacher: nn.Module,
        task: Task,
        translate: Tensor | None = None,
        noise: float = 0.0,
        special: Sequence[int] = (),
        hide: Masking | None = None,
    ) -> None:
        super().__init__()
        sizes = dims_of(student), dims_of(teacher)
        self.modules_ = nn.ModuleList([objective.build(*sizes) for objective in objectives])
        self.objectives = objectives
        self.hidden = any(objective.needs_hidden for objective in objectives)
        self.attention = any(objective.needs_attention for objective in objectives)
        self.kind = task.kind
        # Kept out of the module's own parameters: a teacher is neither trained nor checkpointed.
        self._teacher = [copy.deepcopy(teacher).to(torch.bfloat16).eval().requires_grad_(False)]
        self._translate = translate
        self.noise, self._special = noise, torch.tensor(list(special), dtype=torch.long)
        self._hide = hide

    def prepared(self, batch: Batch) -> Batch:
        """The batch with some tokens swapped or hidden, the same for both models."""
        ids_BT = batch.inputs["input_ids"]
        free_BT = batch.inputs["attention_mask"].bool() & ~torch.isin(ids_BT, self._special)
        inputs = {**batch.inputs, "input_ids": swapped(ids_BT, free_BT, self.noise)}
        noisy = Batch(inputs, batch.labels, batch.index)
        return noisy if self._hide is None else self._hide.batch(noisy)

    def forward(self, model: nn.Module, batch: Batch) -> list[Term]:
        """One term an objective."""
        inputs = batch.inputs
        theirs = dict(inputs)
        if self._translate is not None:
            theirs["input_ids"] = self._translate[theirs["input_ids"]]
        with torch.no_grad():
            teacher = outputs_of(self._teacher[0], theirs, self.kind, self.hidden, self.attention)
        student = outputs_of(model, inputs, self.kind, self.hidden, self.attention)
        return [
            Term(
                objective.technique,  # type: ignore[attr-defined]
                module(student, teacher, batch.labels),
                objective.weight,
                self._unit(objective),
            )
            for objective, module in zip(self.objectives, self.modules_, strict=True)
        ]

    def _unit(self, objective: Objective) -> Unit:
        """What the objective's mean is over, in the words of the loop."""
        if objective.unit == "output":
            return "token" if self.kind in ("tokens", "masked-lm") else "example"
        return objective.unit


def outputs_of(
    model: Any, inputs: dict[str, Tensor], kind: str, hidden: bool = False, attention: bool = False
) -> Outputs:
    """What `model` says about `inputs`; for embedding, `logits` is the pooled vector."""
    with attended(model) if attention else nullcontext(()) as layers:
        output = model(**inputs, output_hidden_states=hidden)
    mask = inputs["attention_mask"]
    logits = mean_pooled(output.last_hidden_state, mask) if kind == "embedding" else output.logits
    states = tuple(output.hidden_states) if hidden else ()
    return Outputs(logits, states, mask.bool(), tuple(layers))


def translation(student: Any, teacher: Any) -> Tensor | None:
    """The teacher's token id for each token id of the student, [V]; None where they are the same.

    The student's vocabulary may be a part of the teacher's (a cut one): the teacher then reads the
    student's pieces, so that hidden states of the same place can be compared.

    Raises:
        ValueError: The student has a token that the teacher does not have.
    """
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours == theirs:
        return None
    strangers = sorted(set(ours) - set(theirs))
    if strangers:
        raise ValueError(
            f"the student's tokenizer has {len(strangers)} tokens that the teacher's has not, e.g. "
            f"{strangers[0]!r}; distil between models of one vocabulary, or of a cut of it"
        )
    table = torch.zeros(max(ours.values()) + 1, dtype=torch.long)
    for token, index in ours.items():
        table[index] = theirs[token]
    return table
