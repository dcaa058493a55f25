"""Several teachers by name: models from folders or the hub beside the one that is there.

A batch is encoded once, so all must read the same token ids; what they say is averaged by
`ensemble`.
"""

from collections.abc import Sequence
from typing import Any

from leanformer.data import Task
from leanformer.distill.teachers.ensemble import Ensemble
from leanformer.models.load import has_head, load_model


def with_teachers(
    first: Any, tokenizer: Any, folders: Sequence[str], task: Task, average_hidden: bool = False
) -> Ensemble:
    """`first` and the models in `folders` as one teacher.

    Args:
        first: The teacher that is there already.
        tokenizer: Its tokenizer.
        folders: Folders or hub names of more teachers.
        task: Kind and labels.
        average_hidden: Average hidden states too.

    Raises:
        OSError: There is no such folder.
        ValueError: A teacher has no trained head for the task, other labels or another vocabulary.
    """
    teachers = [first]
    for folder in folders:
        head = task.about.head
        if not has_head(folder, head):
            raise ValueError(
                f"teachers: {folder} has no trained head for {task.kind}; fine-tune it first"
            )
        bare = task.about.form is None
        model, theirs = load_model(
            folder,
            head,
            num_labels=None if bare else task.outputs,
            labels=task.labels or None,
            problem_type=task.about.problem_type,
        )
        _check_vocabulary(tokenizer, theirs, folder)
        teachers.append(model)
    return Ensemble(teachers, task.kind, average_hidden)


def _check_vocabulary(first: Any, other: Any, folder: str) -> None:
    ours, theirs = first.get_vocab(), other.get_vocab()
    if ours != theirs:
        strangers = sorted(set(ours).symmetric_difference(theirs))
        example = f", e.g. {strangers[0]!r}" if strangers else " of the same pieces"
        raise ValueError(
            f"teachers: the tokenizer of {folder} has another vocabulary than the first teacher's "
            f"({len(theirs)} and {len(ours)} pieces{example}); a batch is encoded once and all "
            "teachers read the same ids, so name teachers of one vocabulary"
        )
