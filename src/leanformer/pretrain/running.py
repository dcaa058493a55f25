"""A pre-training from its recipe to a model folder; stopped or killed, the same call goes on.

pretraining.json   whose folder it is: the recipe and what decides the result
tokenizer/         trained on the corpus, where none was given
corpus/            token ids and rows
checkpoint/        while it trains
events.jsonl       what happened (`pretrain.journal`)
model/             the result: a folder of transformers
done.json          when all is done
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from leanformer.core import codec
from leanformer.core.identity.claim import changes, keep
from leanformer.core.ranks import follows
from leanformer.core.storage.files import recover_folder
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.lock import locked_folder
from leanformer.core.storage.unfinished import LOCK
from leanformer.data.corpus import require_same_texts
from leanformer.models.written import check_written
from leanformer.pretrain.architectures import Kind
from leanformer.pretrain.identity import WORDS, identify
from leanformer.pretrain.journal import Status
from leanformer.pretrain.opening import CORPUS, TOKENIZER, check, open_all, told
from leanformer.pretrain.recipe import Pretraining
from leanformer.pretrain.trackers import chosen
from leanformer.pretrain.training import CHECKPOINT, DONE, MODEL, Training
from leanformer.train.ranks import join_ranks, lead

_CLAIM = "pretraining.json"

Watch = Callable[[str | Status], None]
Patience = Callable[[], AbstractContextManager[Callable[[], bool]]]
"""Makes a context within which signals do not interrupt: its value says whether one came."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a call ended.

    Attributes:
        folder: Where everything is.
        step: Optimizer steps done.
        stopped: Whether it was asked to stop; the same call goes on.
        already: Whether all was done before.
        evaluation: What the last evaluation found, by name; {} = nothing was held out.
    """

    folder: Path
    step: int
    stopped: bool
    already: bool
    evaluation: dict[str, Any]


def begin(recipe: Pretraining, folder: Path, *, write: bool = True) -> Kind:
    """Check a recipe, and make `folder` its own; without `write` only check.

    Returns:
        What the model is trained for.

    Raises:
        OSError: A file, a folder or a name on the hub is not there.
        ValueError: The recipe cannot be done, or `folder` holds another pre-training.
    """
    kind = check(recipe).kind
    _claim(recipe, kind, folder, write)
    return kind


def _claim(recipe: Pretraining, kind: Kind, folder: Path, write: bool = True) -> None:
    """Make `folder` that of this recipe.

    Raises:
        ValueError: It holds another pre-training.
    """
    content, kept = identify(recipe, kind), folder / _CLAIM
    if (_only_claimed(folder) or _held(folder, content) is None) and write:
        keep(kept, codec.encode(recipe), content)


def _only_claimed(folder: Path) -> bool:
    """Whether a run ended before it made anything, e.g. at a mistake that is corrected now."""
    return folder.is_dir() and {place.name for place in folder.iterdir()} <= {_CLAIM, LOCK}


def _held(folder: Path, content: dict[str, Any]) -> list[str] | None:
    """See `changes`; where no step was trained yet, the error says what to remove."""
    try:
        return changes(folder / _CLAIM, content, WORDS)
    except ValueError as error:
        if any((folder / name).exists() for name in (CHECKPOINT, MODEL, DONE)):
            raise
        made = f"{_CLAIM}, {TOKENIZER}/ and {CORPUS}/"
        raise ValueError(f"{error}; no step is kept there yet: or remove its {made}") from error


def run(
    recipe: Pretraining,
    folder: Path,
    *,
    command: str = "",
    watch: Watch | None = None,
    patience: Patience | None = None,
    minutes: float | None = None,
) -> Outcome:
    """Do what the recipe says; called again, go on where it ended.

    Under `torchrun` every process calls it; the first one writes and tells.

    Args:
        recipe: What to do.
        folder: Where everything goes; of several machines, a folder that all of them see.
        command: How the folder's lock and the record call this.
        watch: Called with words and with each `Status`.
        patience: Lets signals end a training after its step, with a checkpoint.
        minutes: End after so many, likewise.

    Raises:
        OSError: A file is not there, or the disk is full.
        ValueError: The recipe cannot be done, `folder` holds other work, or the training diverged.
        FolderInUse: Another process works on `folder`.
    """
    ends = None if minutes is None else time.monotonic() + 60 * minutes
    join_ranks()
    first = not follows()
    watch = watch if first else None
    with locked_folder(folder, command):
        checked = check(recipe)
        lead(lambda: _claim(recipe, checked.kind, folder))
        if (folder / DONE).is_file():
            lead(lambda: _compare(recipe, folder))
            return _finished(folder)
        if watch is not None and recipe.report_to is None and not chosen(None):
            watch(
                "curves go to events.jsonl alone; for TensorBoard: "
                "pip install 'leanformer[tensorboard]'"
            )
        say = watch
        opened = open_all(
            recipe, checked, folder, None if say is None else lambda reading: say(told(reading))
        )
        training = Training(recipe, folder, opened)
        with (patience or _no_signals)() as asked:
            fitted = training.fit(
                lambda: asked() or (ends is not None and time.monotonic() >= ends),
                tells=first,
                command=command,
                watch=watch,
            )
        if fitted.stopped:
            return Outcome(
                folder=folder, step=fitted.steps, stopped=True, already=False, evaluation={}
            )
        lead(partial(training.finish, fitted))
        return Outcome(
            folder=folder,
            step=fitted.steps,
            stopped=False,
            already=False,
            evaluation=read_json(folder / DONE)["evaluation"],
        )


def _compare(recipe: Pretraining, folder: Path) -> None:
    """Refuse other texts than a finished run was trained on, as far as its tokens are still there.

    Raises:
        ValueError: They are others.
    """
    if (folder / CORPUS).is_dir():
        require_same_texts(recipe.corpus, folder / CORPUS)


def _finished(folder: Path) -> Outcome:
    """What a finished run left; its model is compared with its list of parts.

    Raises:
        ValueError: The model is missing or was altered.
    """
    done = read_json(folder / DONE)
    model = folder / MODEL
    recover_folder(model)
    if not model.is_dir():
        raise ValueError(
            f"{folder} is of a finished run, and its model/ is gone; remove "
            f"{folder / DONE} to train it again"
        )
    check_written(model)
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)  # a kill may have left it
    return Outcome(
        folder=folder,
        step=done["step"],
        stopped=False,
        already=True,
        evaluation=done["evaluation"],
    )


@contextmanager
def _no_signals() -> Iterator[Callable[[], bool]]:
    yield lambda: False
