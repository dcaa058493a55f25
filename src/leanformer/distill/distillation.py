"""The loss of a student beside its teacher: both read the same, objectives compare what they say.

Legend: B batch, T token, V vocabulary.
"""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.data import Batch, Task
from leanformer.distill.augmentation import token_swap
from leanformer.distill.objective import Objective, Outputs, dims_of
from leanformer.distill.teachers.teacher_cache import TeacherCache
from leanformer.models.attended import attended
from leanformer.models.embedding import text_vectors
from leanformer.tasks import kind_named
from leanformer.train.loss import Loss, Term, Unit
from leanformer.train.masking import Masking


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
        kept: Where the teacher's outputs are kept; None = it is asked each time.
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
        kept: TeacherCache | None = None,
    ) -> None:
        super().__init__()
        sizes = dims_of(student, task.kind), dims_of(teacher, task.kind)
        self.modules_ = nn.ModuleList([objective.build(*sizes) for objective in objectives])
        self.objectives = objectives
        self.hidden = any(objective.needs_hidden for objective in objectives)
        self.attention = any(objective.needs_attention for objective in objectives)
        self.kind = task.kind
        # Kept out of the module's own parameters: a teacher is neither trained nor checkpointed.
        self._teacher = [copy.deepcopy(teacher).to(torch.bfloat16).eval().requires_grad_(False)]
        self._translate = translate
        self.noise, self._special = noise, torch.tensor(list(special), dtype=torch.long)
        self._hide, self._kept = hide, kept

    def prepared(self, batch: Batch) -> Batch:
        """The batch with some tokens swapped or hidden, the same for both models."""
        ids_BT = batch.inputs["input_ids"]
        free_BT = batch.inputs["attention_mask"].bool() & ~torch.isin(ids_BT, self._special)
        inputs = {**batch.inputs, "input_ids": token_swap(ids_BT, free_BT, self.noise)}
        noisy = Batch(inputs, batch.labels, batch.index)
        return noisy if self._hide is None else self._hide.batch(noisy)

    def forward(self, model: nn.Module, batch: Batch) -> list[Term]:
        """One term an objective."""
        teacher = self._asked(batch)
        student = outputs_of(model, batch.inputs, self.kind, self.hidden, self.attention)
        return [
            Term(
                objective.technique,  # type: ignore[attr-defined]
                module(student, teacher, batch.labels),
                objective.weight,
                self._unit(objective),
            )
            for objective, module in zip(self.objectives, self.modules_, strict=True)
        ]

    def _asked(self, batch: Batch) -> Outputs:
        """What the teacher says, now or when it was asked before."""
        said = self._kept.read(batch) if self._kept is not None else None
        if said is not None:
            return said
        theirs = dict(batch.inputs)
        if self._translate is not None:
            theirs["input_ids"] = self._translate[theirs["input_ids"]]
        with torch.no_grad():
            said = outputs_of(self._teacher[0], theirs, self.kind, self.hidden, self.attention)
        return said if self._kept is None else self._kept.write(batch, said)

    def _unit(self, objective: Objective) -> Unit:
        """What the objective's mean is over, in the words of the loop."""
        if objective.unit == "output":
            return "token" if kind_named(self.kind).per_token else "example"
        return objective.unit


def outputs_of(
    model: Any, inputs: dict[str, Tensor], kind: str, hidden: bool = False, attention: bool = False
) -> Outputs:
    """What `model` says about `inputs`; for embedding, `logits` is the pooled vector."""
    with attended(model) if attention else nullcontext(()) as layers:
        output = model(**inputs, output_hidden_states=hidden)
    mask = inputs["attention_mask"]
    if kind_named(kind).output == "vector":
        logits = text_vectors(model, output.last_hidden_state, mask)
    else:
        logits = output.logits
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
