"""Which outputs of a teacher a distillation caches on disk, and what cannot be cached."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from leanformer.data import Encoded, Task
from leanformer.distill.objective import Objective, dims_of
from leanformer.distill.teachers.reading import OwnReading
from leanformer.distill.teachers.teacher_cache import TeacherCache, key_of
from leanformer.distill.teachers.translation import Translation


def open_cache(
    folder: Path,
    teacher: Any,
    task: Task,
    encoded: Encoded,
    objectives: Sequence[Objective],
    *,
    translate: Translation | None = None,
    own: OwnReading | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> TeacherCache:
    """The cache in `folder` of what `objectives` compare with the outputs of `teacher`.

    Args:
        folder: Folder of the cache; made if missing.
        teacher: The teacher, or several as one.
        task: Kind and labels.
        encoded: The texts as the student reads them.
        objectives: What is compared.
        translate: The teacher's token ids for each of the student's; None = they are the same.
        own: The texts as the teacher's own tokenizer encodes them; None = it reads the student's.
        dtype: What the teacher answers in.

    Raises:
        ValueError: The outputs are too large or differ each time; or `folder` is another cache.
        OSError: The disk has too little space.
    """
    if task.about.predicts_next:
        raise ValueError(
            "teacher_cache: logits of the whole vocabulary for every token are too large to "
            "keep; leave teacher_cache out"
        )
    if task.about.hides_words:
        raise ValueError(
            "teacher_cache: other tokens are hidden each time a text is seen, so that the "
            "teacher must be asked each time; leave teacher_cache out"
        )
    needs = any(objective.needs_hidden for objective in objectives)
    dims = dims_of(teacher)
    return TeacherCache(
        folder,
        key_of(teacher, encoded if own is None else own.joined(), translate, task.kind),
        [encoded.length(index) for index in range(len(encoded))],
        width=dims.hidden if task.about.output == "vector" else task.outputs,
        per_token=task.about.per_token,
        hidden=(dims.layers + 1, dims.hidden) if needs else (0, 0),
        dtype=dtype,
    )
