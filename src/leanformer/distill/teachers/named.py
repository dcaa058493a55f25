"""Several teachers by name: models from folders or the hub beside the one that is there.

What they say is averaged by `ensemble`. Teachers of one vocabulary read the same token ids; where
their vocabularies differ, each reads the texts with its own tokenizer
(`leanformer.distill.teachers.reading`).
"""

from collections.abc import Sequence
from typing import Any

from leanformer.core.machine.device import device_of
from leanformer.data import Task
from leanformer.distill.teachers.ensemble import Ensemble
from leanformer.distill.teachers.reading import have_one_vocabulary
from leanformer.models.io.load import has_head, load_model


def with_teachers(
    first: Any,
    tokenizer: Any,
    folders: Sequence[str],
    task: Task,
    average_hidden: bool = False,
    student: Any = None,
) -> tuple[Ensemble, list[Any]]:
    """`first` and the models in `folders` as one teacher on its device; the tokenizer of each.

    Args:
        first: The teacher that is there already.
        tokenizer: Its tokenizer.
        folders: Folders or hub names of more teachers.
        task: Kind and labels.
        average_hidden: Average hidden states too.
        student: The student's tokenizer; None = the first teacher's.

    Raises:
        OSError: There is no such folder.
        ValueError: A teacher has no trained head for the task, or other labels; or hidden states
            are to be averaged and a vocabulary differs.
    """
    teachers, tokenizers = [first], [tokenizer]
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
        if average_hidden:
            _check_vocabulary(tokenizer, theirs, folder)
        teachers.append(model.to(device_of(first)))
        tokenizers.append(theirs)
    same_ids = have_one_vocabulary(tokenizer if student is None else student, tokenizers)
    return Ensemble(teachers, task.kind, average_hidden, same_ids), tokenizers


def _check_vocabulary(first: Any, other: Any, folder: str) -> None:
    ours, theirs = first.get_vocab(), other.get_vocab()
    if ours != theirs:
        strangers = sorted(set(ours).symmetric_difference(theirs))
        example = f", e.g. {strangers[0]!r}" if strangers else " of the same pieces"
        raise ValueError(
            f"average_hidden: the tokenizer of {folder} has another vocabulary than the first "
            f"teacher's ({len(theirs)} and {len(ours)} pieces{example}), so that hidden states of "
            "one token have no average; name teachers of one vocabulary, or compare answers alone"
        )
