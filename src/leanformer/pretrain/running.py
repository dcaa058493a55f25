"""A pre-training from its recipe to a model folder; stopped or killed, the same call goes on.

    pretraining.json   whose folder it is: the recipe and what decides the result
    tokenizer/         trained on the corpus, where none was given
    corpus/            token ids and rows
    checkpoint/        while it trains
    events.jsonl       what happened (`pretrain.journal`)
    model/             the result: a folder of transformers
    done.json          when all is done
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from leanformer.core import codec
from leanformer.core.identity.claim import changes, keep
from leanformer.core.identity.digest import digest, short
from leanformer.core.machine.device import find_device
from leanformer.core.record import Record
from leanformer.core.storage.files import recover_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.lock import locked_folder
from leanformer.measure.environment import environment
from leanformer.measure.peak_flops import peak_flops
from leanformer.measure.training_flops import training_flops_per_token
from leanformer.models.io.save import save_model
from leanformer.models.written import check_written
from leanformer.pretrain.architectures import Kind
from leanformer.pretrain.evaluation import Evaluation, Evaluator
from leanformer.pretrain.first_rank import on_first_rank
from leanformer.pretrain.identity import WORDS, identify
from leanformer.pretrain.journal import Journal, Status
from leanformer.pretrain.opening import Opened, check, open_all, told
from leanformer.pretrain.recipe import Pretraining
from leanformer.pretrain.sampling import prompts_of, settings_of, write_samples
from leanformer.pretrain.trackers import TrackedRun, chosen
from leanformer.train.corpus_batches import CorpusBatches
from leanformer.train.loop import fit
from leanformer.train.loss import Loss, Supervised
from leanformer.train.masking import masking
from leanformer.train.precision import Precision
from leanformer.train.ranks import count_ranks, join_ranks
from leanformer.train.state import Fitted
from leanformer.train.steps.pretrain import MaskedLanguage

EVENTS, MODEL = "events.jsonl", "model"
_CLAIM, _DONE, _CHECKPOINT = "pretraining.json", "done.json", "checkpoint"
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

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
    kind = check(recipe)
    content, kept = identify(recipe, kind), folder / _CLAIM
    if changes(kept, content, WORDS) is None and write:
        keep(kept, codec.encode(recipe), content)
    return kind


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
    if count_ranks() > 1:
        join_ranks()
    first = _rank() == 0
    watch = watch if first else None
    with locked_folder(folder, command) if first else nullcontext():
        kind: Kind | None = None
        if first:
            kind = begin(recipe, folder, write=False)
        on_first_rank(lambda: None)
        kind = kind or check(recipe)
        if (folder / _DONE).is_file():
            return _finished(folder)
        on_first_rank(lambda: begin(recipe, folder))
        if watch is not None and recipe.report_to is None and not chosen(None):
            watch(
                "curves go to events.jsonl alone; for TensorBoard: "
                "pip install 'leanformer[tensorboard]'"
            )
        say = None if watch is None else watch
        opened = open_all(
            recipe, kind, folder, None if say is None else lambda reading: say(told(reading))
        )
        training = _Training(recipe, folder, opened)
        with (patience or _no_signals)() as asked:
            fitted = training.fit(
                command, watch, lambda: asked() or (ends is not None and time.monotonic() >= ends)
            )
        if fitted.stopped:
            return Outcome(
                folder=folder, step=fitted.steps, stopped=True, already=False, evaluation={}
            )
        on_first_rank(partial(training.finish, fitted))
        return Outcome(
            folder=folder,
            step=fitted.steps,
            stopped=False,
            already=False,
            evaluation=read_json(folder / _DONE)["evaluation"],
        )


class _Training:
    """A pre-training whose parts are open."""

    def __init__(self, recipe: Pretraining, folder: Path, opened: Opened) -> None:
        self.recipe, self.folder, self.opened = recipe, folder, opened
        self.record = Record(folder / EVENTS)
        self.causal = opened.kind == "causal-lm"
        setup = recipe.train
        self.batches = CorpusBatches(
            opened.prepared,
            max_tokens=setup.max_tokens_per_microbatch,
            seed=recipe.seed,
            batch_size=None if recipe.batch_tokens else setup.batch_size,
            batch_tokens=recipe.batch_tokens,
            ranks=count_ranks(),
        )
        self.evaluator = self._evaluator()

    def fit(self, command: str, watch: Watch | None, stop: Callable[[], bool]) -> Fitted:
        """Train by the one loop."""
        recipe, first = self.recipe, _rank() == 0
        journal = self._journal(command, watch) if first else None
        try:
            return fit(
                self.opened.model,
                self.batches,
                self._loss(),
                recipe.train,
                evaluate=self.evaluator,
                keep_best=recipe.load_best_at_end,
                folder=self.folder / _CHECKPOINT,
                hooks=[] if journal is None else [journal],
                seed=recipe.seed,
                stop=stop,
            )
        finally:
            if journal is not None:
                journal.close()

    def finish(self, fitted: Fitted) -> None:
        """Evaluate, write samples, save the model, and say that all is done."""
        recipe, opened = self.recipe, self.opened
        evaluation, samples = self._last(fitted)
        if self.causal:
            opened.model.generation_config = settings_of(recipe.samples, opened.tokenizer)
        save_model(opened.model, opened.tokenizer, self.folder / MODEL, overwrite=True)
        found = {} if evaluation is None else asdict(evaluation)
        self.record.drop(lambda event: event["event"] == "finished")
        self.record.write("finished", step=fitted.steps, evaluation=found, samples=samples)
        done = {"step": fitted.steps, "evaluation": found}
        write_text(self.folder / _DONE, json.dumps(done, allow_nan=True))
        shutil.rmtree(self.folder / _CHECKPOINT, ignore_errors=True)

    def _last(self, fitted: Fitted) -> tuple[Evaluation | None, list[dict[str, str]]]:
        """The evaluation and the samples of the model as it ended."""
        evaluator = self.evaluator
        if evaluator is None:
            return None, self._samples(self.opened.model)
        qualities = fitted.qualities
        as_evaluated = not self.recipe.load_best_at_end and qualities[-1:] == [
            (fitted.steps, -evaluator.last.loss if evaluator.last else None)
        ]
        if not as_evaluated:
            evaluator(self.opened.model)
        return evaluator.last, evaluator.samples

    def _evaluator(self) -> Evaluator | None:
        prepared, recipe = self.opened.prepared, self.recipe
        self._held_out = prepared.held_out() if recipe.corpus.held_out else None
        if self._held_out is None:
            return None
        if self.causal:
            tokenizer = self.opened.tokenizer
            return Evaluator(self._held_out, recipe.train.precision, tokenizer, self._samples)
        hidden = self._masking().encoded(self._held_out, recipe.seed)
        return Evaluator(hidden, recipe.train.precision)

    def _samples(self, model: Any) -> list[dict[str, str]]:
        if not self.causal:
            return []
        asked, tokenizer = self.recipe.samples, self.opened.tokenizer
        prompts = prompts_of(asked, tokenizer, self._held_out)
        return write_samples(model, tokenizer, asked, prompts, self.recipe.seed)

    def _masking(self) -> Any:
        return masking(self.opened.tokenizer, self.recipe.mlm_probability)

    def _loss(self) -> Loss:
        return Supervised("causal-lm") if self.causal else MaskedLanguage(self._masking())

    def _journal(self, command: str, watch: Watch | None) -> Journal:
        recipe, opened = self.recipe, self.opened
        device = find_device(recipe.device)
        flops = self._flops()
        peak = peak_flops(device, _DTYPES[Precision(recipe.train.precision, device.type).name])
        if not self.record.events():
            self.record.write("pretraining", **self._about(command, flops, peak))
        settings = codec.encode(recipe)
        key = short(digest(json.dumps(settings, sort_keys=True), str(self.folder.resolve())))
        run = partial(
            TrackedRun, name=recipe.name, key=key, folder=self.folder, settings=settings
        )
        return Journal(
            self.record,
            self.batches,
            recipe.train,
            device,
            log_steps=recipe.log_steps,
            evaluator=self.evaluator,
            flops=flops,
            peak=peak * count_ranks(),
            watch=watch,
            trackers=chosen(recipe.report_to),
            run=lambda step: run(step=step),
        )

    def _flops(self) -> float:
        prepared, setup = self.opened.prepared, self.recipe.train
        length = self.batches.epoch_tokens / len(prepared.rows)
        names = {getattr(saver, "technique", "") for saver in setup.memory}
        alone = not self.causal and "chunked-cross-entropy" in names
        head = self.recipe.mlm_probability if alone else 1.0
        return training_flops_per_token(self.opened.model, length, causal=self.causal, head=head)

    def _about(self, command: str, flops: float, peak: float) -> dict[str, Any]:
        """What the record says of the run at its beginning."""
        opened, setup = self.opened, self.recipe.train
        listing = opened.prepared.listing
        return {
            "name": self.recipe.name,
            "kind": opened.kind,
            "command": command,
            "settings": codec.encode(self.recipe),
            "architecture": type(opened.model).__name__,
            "parameters": opened.model.num_parameters(),
            "vocabulary": len(opened.tokenizer),
            "documents": listing.documents("train"),
            "held_out": listing.documents("held_out"),
            "rows": len(opened.prepared.rows),
            "epoch_tokens": self.batches.epoch_tokens,
            "packing": opened.prepared.packing,
            "max_length": opened.prepared.max_length,
            "steps": self.batches.steps(setup.duration),
            "ranks": count_ranks(),
            "flops_per_token": flops,
            "peak_flops": peak,
            "environment": environment(torch.get_num_threads()),
        }


def _finished(folder: Path) -> Outcome:
    """What a finished run left; its model is compared with its list of parts.

    Raises:
        ValueError: The model is missing or was altered.
    """
    done = read_json(folder / _DONE)
    model = folder / MODEL
    recover_folder(model)
    if not model.is_dir():
        raise ValueError(
            f"{folder} is of a finished run, and its model/ is gone; remove "
            f"{folder / _DONE} to train it again"
        )
    check_written(model)
    shutil.rmtree(folder / _CHECKPOINT, ignore_errors=True)  # a kill may have left it
    return Outcome(
        folder=folder,
        step=done["step"],
        stopped=False,
        already=True,
        evaluation=done["evaluation"],
    )


def _rank() -> int:
    """The number of this process among those that train together."""
    return int(os.environ.get("RANK", "0")) if count_ranks() > 1 else 0


@contextmanager
def _no_signals() -> Iterator[Callable[[], bool]]:
    yield lambda: False
