"""A teacher that reads each text with its own tokenizer, so that it may be of any architecture.

    one vocabulary        the teacher reads the student's token ids, and every objective is possible
    phrases added to it   it reads them spelled out; objectives on attention are not possible
    two vocabularies      text n of the teacher is paired with text n of the student, and token t of
                          one is not token t of the other: objectives compare answers only

Whatever else belongs to a tokenizer is its teacher's own too: the special tokens, the prompt that
is put before a text, the side that long texts are cut on, and how many tokens are read.

Legend: N text, B batch, C class, D width of a vector; an answer is a row [C], or [D] for embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leanformer.core.machine.device import device_of
from leanformer.core.technique import families
from leanformer.data import Batch, Encoded, Examples, encode_examples
from leanformer.distill.objective import Objective, Outputs
from leanformer.distill.teachers.ensemble import average_answers, average_vectors
from leanformer.distill.teachers.translation import strangers
from leanformer.tasks import kind_named
from leanformer.train.evaluate import head_output, outputs


@dataclass(frozen=True)
class OwnReading:
    """The student's texts, in its order, as the tokenizer of each teacher encodes them.

    Attributes:
        encoded: The texts of each teacher; one entry per teacher.
        kind: Kind of task.
    """

    encoded: tuple[Encoded, ...]
    kind: str

    def outputs(self, teacher: Any, batch: Batch) -> Outputs:
        """What `teacher` answers to the texts of `batch`, [B, C] or [B, D].

        Args:
            teacher: The teacher, or an `Ensemble` of as many teachers as there are encodings.
            batch: A batch of the student: only its `index` is read.
        """
        members = members_of(teacher)
        answers = []
        for member, encoded in zip(members, self.encoded, strict=True):
            theirs = encoded.batch(list(batch.index)).to(device_of(member))
            answers.append(head_output(member, theirs.inputs, self.kind))
        keep_BT = batch.inputs["attention_mask"].bool()
        return Outputs(self._mean(members, answers), (), keep_BT)

    def all_outputs(self, teacher: Any, precision: str = "bf16") -> NDArray[np.float32]:
        """What `teacher` answers to every text in this precision, [N, C] or [N, D]."""
        members = members_of(teacher)
        answers = [
            torch.from_numpy(np.stack(outputs(member, encoded, self.kind, precision)))
            for member, encoded in zip(members, self.encoded, strict=True)
        ]
        found: NDArray[np.float32] = self._mean(members, answers).numpy()
        return found

    def joined(self) -> Encoded:
        """All that the teachers read, one teacher after the other: what their answers depend on."""
        rows = [row for encoded in self.encoded for row in encoded.rows]
        return replace(self.encoded[0], rows=rows, labels=None, words=None)

    def _mean(self, members: Sequence[Any], answers: Sequence[Tensor]) -> Tensor:
        if len(answers) == 1:
            return answers[0]
        if kind_named(self.kind).output == "vector":
            return average_vectors(members, answers)
        return average_answers(answers, self.kind)


def members_of(teacher: Any) -> list[Any]:
    """The models that make up a teacher: those of an `Ensemble`, or the teacher itself."""
    return list(getattr(teacher, "models", [teacher]))


def read_texts(
    examples: Examples, tokenizers: Sequence[Any], kind: Any, max_length: int | None
) -> OwnReading:
    """`examples` as each of `tokenizers` encodes them.

    Args:
        examples: The texts that the student reads, in its order.
        tokenizers: One per teacher.
        kind: Kind of task.
        max_length: Tokens that are read of a text; None = as many as each teacher can.
    """
    return OwnReading(
        tuple(
            encode_examples(examples, one, kind, max_length or one.model_max_length)
            for one in tokenizers
        ),
        kind,
    )


def have_one_vocabulary(student: Any, teachers: Sequence[Any]) -> bool:
    """Whether all teachers can read the token ids of the student's tokenizer.

    They can where the teachers' vocabularies are equal and the student's is the same one or a part
    of it, as after `cut-vocabulary`. Phrases that this step added are spelled out for them.
    """
    first, *others = teachers
    return _is_part(student, first) and all(
        other.get_vocab() == first.get_vocab() for other in others
    )


def check_answers_suffice(
    objectives: Sequence[Objective], kind: str, noise: float, student: Any, teachers: Sequence[Any]
) -> None:
    """Refuse what needs the tokens of student and teacher to be the same.

    Args:
        objectives: What is compared.
        kind: Kind of task.
        noise: Share of tokens that are swapped in each batch.
        student: The student's tokenizer.
        teachers: Those of the teachers.

    Raises:
        ValueError: The task is about tokens, an objective compares tokens, or tokens are swapped.
    """
    why = _difference(student, teachers)
    task = kind_named(kind)
    if task.per_token or task.hides_words:
        raise ValueError(
            f"distill: {kind} compares the answers of both models token by token, and {why}; name "
            "a teacher of the student's vocabulary, or of one that the student's was cut from"
        )
    by_token = [one for one in objectives if one.needs_hidden or one.needs_attention]
    if by_token:
        name = by_token[0].technique  # type: ignore[attr-defined]
        usable = [
            name
            for name, cls in families()["objective"].items()
            if not (cls.needs_hidden or cls.needs_attention)  # type: ignore[attr-defined]
        ]
        raise ValueError(
            f"objectives: {name} compares what both models compute for each token, and {why}; use "
            f"objectives that compare answers: {', '.join(usable)}"
        )
    if noise:
        raise ValueError(
            f"noise: tokens are swapped in what the student reads, and {why}, so that the teacher "
            "would answer to the texts as they were; leave noise out, or make more texts with "
            "augmentation"
        )


def check_vocabularies(student: Any, teacher: Any) -> None:
    """Refuse a causal language model whose logits are of other tokens than its teacher's.

    Raises:
        ValueError: The vocabularies differ in size.
    """
    ours, theirs = student.config.vocab_size, teacher.config.vocab_size
    if ours != theirs:
        raise ValueError(
            f"distill: the student predicts one of {ours} tokens and its teacher one of {theirs}, "
            "and no token of one is compared with another of the other; leave cut-vocabulary out, "
            "or put it before the step that makes the teacher"
        )


def _is_part(student: Any, teacher: Any) -> bool:
    """Whether the student's tokens are pieces of the teacher, or phrases that it can spell, split
    by the same kind of model.
    """
    return _model(student) == _model(teacher) and not strangers(student, teacher)


def _model(tokenizer: Any) -> str:
    return type(tokenizer.backend_tokenizer.model).__name__


def _difference(student: Any, teachers: Sequence[Any]) -> str:
    """The first difference of vocabulary, in words."""
    strange = strangers(student, teachers[0])
    if strange:
        return (
            f"the student's tokenizer has {len(strange)} tokens that the teacher's has not, "
            f"e.g. {strange[0]!r}"
        )
    if _model(student) != _model(teachers[0]):
        return (
            f"the student's tokenizer is a {_model(student)} and the teacher's a "
            f"{_model(teachers[0])}"
        )
    sizes = ", ".join(str(len(one.get_vocab())) for one in teachers)
    return f"the teachers' vocabularies differ ({sizes} tokens)"
