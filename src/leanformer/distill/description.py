"""What a student of an embedding model takes over from its teacher, since training cannot teach it.

A text's vector depends on more than weights: on the prompt before the text, on how much of the
text is read, and on whether vectors are normalized. A student that differs from its teacher in
these learns another task than it is judged by. Its pooling may differ, since every objective
compares the pooled vectors.

    ratio of lengths = mean_n ||s_n|| / ||t_n||

The quality of an embedding is a cosine, which does not see lengths. Where the teacher does not
normalize its vectors, this ratio is the proof that the student's are as long.

Legend: N text; s and t are the vectors of student and teacher.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.proof import Proof
from leanformer.data import Encoded
from leanformer.distill.objective import Objective
from leanformer.distill.objectives import Logits, Vectors
from leanformer.models.embedding import Embedding, describe_embedding, embedding_of
from leanformer.numerics.metrics import length_ratio
from leanformer.train.evaluate import outputs


def follow_description(
    student: Any,
    tokenizer: Any,
    teacher: Any,
    theirs: Any,
    objectives: Sequence[Objective],
    *,
    same_ids: bool = True,
) -> None:
    """Give a student without a description of its vectors that of its teacher.

    With or without its own description it reads no more of a text than its teacher does. Of a
    teacher that reads texts with its own tokenizer it takes over what is compared alone: whether
    vectors are normalized, and how they are meant to be compared. Prompts and pooling suit that
    teacher's architecture, and the student's pool by their mean.

    Args:
        student: The student; a plain encoder, or a model with a description of its own.
        tokenizer: Its tokenizer.
        teacher: Its teacher.
        theirs: The teacher's tokenizer.
        objectives: The objectives that train the student.
        same_ids: Whether the teacher reads the student's token ids.

    Raises:
        ValueError: The student's own description normalizes or prompts otherwise than the
            teacher's, or lengths count and no objective compares them. Nothing was changed.
    """
    own, asked = embedding_of(student), embedding_of(teacher)
    if asked.lengths_count and not any(isinstance(one, Logits | Vectors) for one in objectives):
        raise ValueError(
            f"objectives: the teacher's vectors are compared by {asked.similarity} and are not "
            "normalized, so that their lengths count, and no objective compares lengths; add "
            '{ use = "vectors" }'
        )
    if not own.declared:
        own = asked if same_ids else _comparable(asked)
    if own.pooling.normalize != asked.pooling.normalize:
        words = {True: "are normalized", False: "are not"}
        raise ValueError(
            f"distill: the student's vectors {words[own.pooling.normalize]} and the teacher's "
            f"{words[asked.pooling.normalize]}; give both the same ending in their modules.json, "
            "with or without Normalize"
        )
    if same_ids and own.prompt != asked.prompt:
        raise ValueError(
            f"distill: the student reads {own.prompt!r} before every text and the teacher "
            f"{asked.prompt!r}; give both the same default prompt in their "
            "config_sentence_transformers.json"
        )
    own = replace(own, widths=asked.widths)  # prefixes are what the teacher's are
    describe_embedding(student, tokenizer, own, theirs.model_max_length if same_ids else None)


def check_widths(student: int, teacher: int) -> None:
    """Refuse vectors that cannot be judged by the teacher's.

    Raises:
        ValueError: They are not of one width.
    """
    if student != teacher:
        raise ValueError(
            f"distill: the student's vectors are {student} wide and the teacher's {teacher}, by "
            "which they are judged; keep the width, or learn from plain text as a masked language "
            "model (kind = 'masked-lm')"
        )


def _comparable(teacher: Embedding) -> Embedding:
    """The part of a description that vectors are compared by; their mean otherwise."""
    pooling = replace(Embedding().pooling, normalize=teacher.pooling.normalize)
    return Embedding(pooling=pooling, similarity=teacher.similarity)


def prove_lengths(
    before: float,
    student: Any,
    encoded: Encoded,
    targets: NDArray[np.float32],
    precision: str = "bf16",
) -> Proof:
    """How long the student's vectors are against the teacher's, before and after the training."""
    return Proof(
        claim="lengths of the vectors on dev, over the teacher's",
        before=before,
        after=lengths(student, encoded, targets, precision),
        unit="x",
        ok=True,
        note=f"mean ratio over {len(encoded)} texts; the cosine does not see it",
    )


def lengths(
    student: Any, encoded: Encoded, targets: NDArray[np.float32], precision: str = "bf16"
) -> float:
    """Mean ratio of the lengths of the student's vectors to those of `targets`, [N, D]."""
    return length_ratio(np.stack(outputs(student, encoded, "embedding", precision)), targets)
