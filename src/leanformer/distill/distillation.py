"""The loss of a student beside its teacher: both read the same, objectives compare what they say.

Legend: B batch, T token.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core import codec
from leanformer.core.identity.digest import digest
from leanformer.core.machine.device import device_of
from leanformer.data import Batch, Task
from leanformer.distill.augmentation import token_swap
from leanformer.distill.objective import Objective, Outputs, dims_of
from leanformer.distill.teachers.reading import OwnReading
from leanformer.distill.teachers.teacher_cache import TeacherCache
from leanformer.distill.teachers.translation import Translation
from leanformer.models.attention.observe import observe_attention
from leanformer.models.digest import weights_digest
from leanformer.models.embedding import embedding_of, text_vectors
from leanformer.models.half_precision import in_dtype
from leanformer.models.packed import model_inputs
from leanformer.tasks import kind_named
from leanformer.train.loss import Carry, Loss, Term, Unit, count
from leanformer.train.masking import Masking
from leanformer.train.precision import has_bf16


def teacher_dtype(precision: str) -> torch.dtype:
    """What a teacher answers in: fp32 beside a student trained in fp32, and else bf16, which takes
    half of the memory. Devices differ in the last bits of bf16.
    """
    return torch.float32 if precision == "fp32" else torch.bfloat16


class Distillation(Loss):
    """The loss of a student beside its teacher.

    Args:
        objectives: What is compared.
        student: The model that is trained.
        teacher: The model that is followed; a copy of it in `teacher_dtype` is used and never
            trained.
        task: Kind and labels.
        translate: The teacher's token ids for each of the student's; None = they are the same.
        noise: Share of tokens replaced by others of the batch.
        special: Token ids that are never replaced.
        hide: How tokens are hidden from a masked language model; both models see the same.
        kept: Where the teacher's outputs are kept; None = it is asked each time.
        own: The texts as the teacher's own tokenizer encodes them; None = it reads the student's
            token ids.
        precision: That of the training, as `TrainSetup.precision` names it.
    """

    def __init__(
        self,
        objectives: tuple[Objective, ...],
        student: nn.Module,
        teacher: nn.Module,
        task: Task,
        translate: Translation | None = None,
        noise: float = 0.0,
        special: Sequence[int] = (),
        hide: Masking | None = None,
        kept: TeacherCache | None = None,
        own: OwnReading | None = None,
        precision: str = "bf16",
    ) -> None:
        super().__init__()
        sizes = dims_of(student, task.kind), dims_of(teacher, task.kind)
        self.modules_ = nn.ModuleList([objective.build(*sizes) for objective in objectives])
        self.objectives = objectives
        self.hidden = any(objective.needs_hidden for objective in objectives)
        self.attention = any(objective.needs_attention for objective in objectives)
        self.additive = all(objective.additive for objective in objectives)
        self.compilable = not self.attention  # which is observed from outside of the model
        self.kind = task.kind
        # Kept out of the module's own parameters: a teacher is neither trained nor checkpointed.
        device, self.dtype = device_of(student), teacher_dtype(precision)
        asked = in_dtype(teacher, self.dtype, device)
        self._teacher = [asked.eval().requires_grad_(False)]
        self._translate = None if translate is None else translate.to(device)
        self.noise, self._special = noise, torch.tensor(list(special), dtype=torch.long)
        self._hide, self._kept, self._own = hide, kept, own

    def identity(self) -> dict[str, Any]:
        """The objectives, the teacher by its weights, and what is done to the texts."""
        translate = self._translate
        return {
            "task": self.kind,
            "objectives": codec.encode(self.objectives),
            "teacher": teacher_digest(self._teacher[0], self.kind),
            "translation": None if translate is None else digest(translate.described()),
            "noise": self.noise,
            "special": self._special.tolist(),
            "masking": codec.encode(self._hide),
        }

    def transform_batch(self, batch: Batch) -> Batch:
        """The batch with some tokens swapped or hidden, the same for both models."""
        ids_BT = batch.inputs["input_ids"]
        special_BT = torch.isin(ids_BT, self._special.to(ids_BT.device))
        free_BT = batch.inputs["attention_mask"].bool() & ~special_BT
        inputs = {**batch.inputs, "input_ids": token_swap(ids_BT, free_BT, self.noise)}
        noisy = replace(batch, inputs=inputs)
        return noisy if self._hide is None else self._hide.batch(noisy)

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> tuple[Outputs, Outputs]:
        """What the student says, and what the teacher says."""
        teacher = self._asked(batch)
        student = outputs_of(model, batch.inputs, self.kind, self.hidden, self.attention)
        return student, teacher

    def terms(self, outputs: tuple[Outputs, Outputs], batch: Batch) -> list[Term]:
        """One term per objective: its mean times what the mean is over."""
        found = []
        for objective, module in zip(self.objectives, self.modules_, strict=True):
            unit = self._unit(objective)
            units = count(batch, unit)
            # a part may have no unit at all, such as no hidden token: its mean is 0 / 0
            total = torch.where(units > 0, module(*outputs, batch.labels) * units, 0.0)
            name: str = objective.technique  # type: ignore[attr-defined]
            found.append(Term(name, total, objective.weight, unit))
        return found

    def _asked(self, batch: Batch) -> Outputs:
        """What the teacher says, now or when it was asked before."""
        said = self._kept.read(batch) if self._kept is not None else None
        if said is not None:
            return said
        with torch.no_grad(), self._teacher_precision(batch):
            said = self._answer(batch)
        return said if self._kept is None else self._kept.write(batch, said)

    def _teacher_precision(self, batch: Batch) -> AbstractContextManager[Any]:
        """The teacher's precision where the student has another one: beside fp16 it stays in bf16,
        whose range is fp32's, unless a GPU would only imitate that.
        """
        device = batch.inputs["input_ids"].device.type
        if not torch.is_autocast_enabled(device) or (device != "cpu" and not has_bf16(device)):
            return nullcontext()
        return torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32)

    def _answer(self, batch: Batch) -> Outputs:
        """What the teacher says now: about its own reading of the texts, or about the same ids."""
        if self._own is not None:
            return self._own.outputs(self._teacher[0], batch)
        inputs, translate = batch.inputs, self._translate
        if translate is None:
            return self._said(inputs)
        if not translate.spreads:
            return self._said({**inputs, "input_ids": translate.parts_VP[inputs["input_ids"], 0]})
        spread = translate.read(inputs)
        return spread.gathered(self._said(spread.inputs), inputs["attention_mask"].bool())

    def _said(self, inputs: dict[str, Tensor]) -> Outputs:
        """What the teacher says about its inputs."""
        return outputs_of(self._teacher[0], inputs, self.kind, self.hidden, self.attention)

    def _unit(self, objective: Objective) -> Unit:
        """What the objective's mean is over, in the words of the loop."""
        if objective.unit == "output":
            return "token" if kind_named(self.kind).per_token else "example"
        return objective.unit


def outputs_of(
    model: Any, inputs: dict[str, Tensor], kind: str, hidden: bool = False, attention: bool = False
) -> Outputs:
    """What `model` says about `inputs`; for embedding, `logits` is the pooled vector."""
    with observe_attention(model) if attention else nullcontext(()) as layers:
        output = model(**model_inputs(inputs, model), output_hidden_states=hidden)
    mask = inputs["attention_mask"]
    if kind_named(kind).output == "vector":
        logits = text_vectors(model, output.last_hidden_state, mask)
    else:
        logits = output.logits
    states = tuple(output.hidden_states) if hidden else ()
    return Outputs(logits, states, mask.bool(), tuple(layers))


def teacher_digest(teacher: nn.Module, kind: str) -> str:
    """A digest of what decides the teacher's answers: weights, and for embedding the pooling."""
    vectors = kind_named(kind).output == "vector"
    members: Any = getattr(teacher, "models", [teacher])
    pooled = [repr(embedding_of(one).pooling) for one in members] if vectors else []
    return digest(weights_digest(teacher), pooled)
