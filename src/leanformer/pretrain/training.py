"""One pre-training whose model, tokenizer and corpus are open: it is trained, and it is ended."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from leanformer.core import codec
from leanformer.core.identity.digest import digest, short
from leanformer.core.machine.device import find_device
from leanformer.core.record import Record
from leanformer.core.storage.files import write_text
from leanformer.measure.environment import environment
from leanformer.measure.peak_flops import peak_flops
from leanformer.measure.training_flops import training_flops_per_token
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.pretrain.evaluation import Evaluation, Evaluator
from leanformer.pretrain.journal import Journal, Status
from leanformer.pretrain.memory import foreseen
from leanformer.pretrain.opening import Opened, loss_for
from leanformer.pretrain.recipe import Pretraining
from leanformer.pretrain.sampling import prompts_of, settings_of, write_samples
from leanformer.pretrain.trackers import TrackedRun, chosen
from leanformer.train.corpus_batches import CorpusBatches
from leanformer.train.loop import fit
from leanformer.train.loss import Loss
from leanformer.train.masking import Masking, masking
from leanformer.train.memory import ChunkedCrossEntropy
from leanformer.train.precision import Precision
from leanformer.train.ranks import count_ranks
from leanformer.train.setup import TrainSetup
from leanformer.train.state import Fitted

EVENTS, MODEL, DONE, CHECKPOINT = "events.jsonl", "model", "done.json", "checkpoint"
"""What a pre-training leaves in its folder; the checkpoint only while it trains."""


class Training:
    """A pre-training whose parts are open.

    Args:
        recipe: What is done.
        folder: Where its results go.
        opened: Its parts.
    """

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
        self.setup = self._setup()

    def fit(
        self,
        stop: Callable[[], bool],
        *,
        tells: bool,
        command: str = "",
        watch: Callable[[Status], None] | None = None,
    ) -> Fitted:
        """Train by the one loop, from the last checkpoint on.

        Args:
            stop: Asked after each step whether to end there.
            tells: Whether this process writes events and curves: one of several ranks does.
            command: How the record calls this.
            watch: Called with each status.
        """
        recipe = self.recipe
        journal = self._journal(command, watch) if tells else None
        try:
            with quiet():  # packed rows have no mask on purpose, which transformers warns of
                return fit(
                    self.opened.model,
                    self.batches,
                    self._loss(),
                    self.setup,
                    evaluate=self.evaluator,
                    keep_best=recipe.load_best_at_end,
                    folder=self.folder / CHECKPOINT,
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
        write_text(self.folder / DONE, json.dumps(done, allow_nan=True))
        shutil.rmtree(self.folder / CHECKPOINT, ignore_errors=True)

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

    def _masking(self) -> Masking:
        return masking(self.opened.tokenizer, self.recipe.mlm_probability)

    def _loss(self) -> Loss:
        return loss_for(self.opened.kind, self.opened.tokenizer, self.recipe.mlm_probability)

    def _setup(self) -> TrainSetup:
        """How it trains: of a masked language model the logits of the hidden tokens alone are
        computed, wherever the model allows it, since nobody asks for the others.
        """
        setup = self.recipe.train
        if self.causal or setup.compile or _chunks(setup):
            return setup
        alone = ChunkedCrossEntropy(tokens=0)
        try:
            with alone.apply(self.opened.model, self._loss()):
                return replace(setup, memory=(*setup.memory, alone))
        except ValueError:  # it does something else with its logits
            return setup

    def _journal(self, command: str, watch: Callable[[Status], None] | None) -> Journal:
        recipe = self.recipe
        device = find_device(recipe.device)
        flops = self._flops()
        peak = peak_flops(device, Precision(recipe.train.precision, device.type).dtype)
        if not self.record.events():
            self.record.write("pretraining", **self._about(command, flops, peak))
        settings = codec.encode(recipe)
        key = short(digest(json.dumps(settings, sort_keys=True), str(self.folder.resolve())))
        run = partial(TrackedRun, name=recipe.name, key=key, folder=self.folder, settings=settings)
        return Journal(
            self.record,
            self.batches,
            recipe.train.scaled(),
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
        prepared, setup = self.opened.prepared, self.setup
        length = self.batches.epoch_tokens / len(prepared.rows)
        alone = not self.causal and _chunks(setup)
        head = self.recipe.mlm_probability if alone else 1.0
        return training_flops_per_token(self.opened.model, length, causal=self.causal, head=head)

    def _about(self, command: str, flops: float, peak: float) -> dict[str, Any]:
        """What the record says of the run at its beginning."""
        opened, setup = self.opened, self.setup
        listing, ranks = opened.prepared.listing, count_ranks()
        return {
            "name": self.recipe.name,
            "kind": opened.kind,
            "command": command,
            "settings": codec.encode(self.recipe),
            "memory": codec.encode(setup)["memory"],
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
            "ranks": ranks,
            **foreseen(opened.model, self._loss(), self.batches.at(0), setup, ranks),
            "flops_per_token": flops,
            "peak_flops": peak,
            "environment": environment(torch.get_num_threads()),
        }


def _chunks(setup: TrainSetup) -> bool:
    """Whether logits are computed at the targets alone."""
    return any(isinstance(saver, ChunkedCrossEntropy) for saver in setup.memory)
