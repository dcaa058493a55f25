"""What a pre-training tells as it goes on: lines of `events.jsonl`, curves, and the terminal.

    step          loss, tokens, tokens per second, MFU, memory, learning rate
    evaluation    loss, perplexity, accuracy on held-out documents
    samples       texts that the model wrote

Lines that a killed run wrote after its last checkpoint are dropped when it goes on, so that each
step stands there once. Only the first of several ranks tells anything.

    MFU = FLOPs per token · tokens per second / (peak of a device · ranks)
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import nn

from leanformer.core.machine.process_memory import process_bytes
from leanformer.core.record import Record
from leanformer.pretrain.evaluation import Evaluation, Evaluator
from leanformer.pretrain.trackers import TrackedRun, Tracker
from leanformer.train.batches import Batches
from leanformer.train.course import Progress
from leanformer.train.setup import TrainSetup


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a pre-training is.

    Attributes:
        step: Optimizer steps done.
        steps: Optimizer steps in all.
        tokens: Tokens read since it began.
        loss: Mean loss of the steps since the last status, in nats per target.
        learning_rate: That of the last step.
        tokens_per_second: All ranks together, without evaluations.
        mfu: Share of the device's peak; None where the peak is not known.
        memory: Bytes: the peak of a GPU's allocations, or what this process holds.
        seconds: Of training since it began, without what a kill lost.
        seconds_left: At this pace.
        evaluation: What this step's evaluation found.
    """

    step: int
    steps: int
    tokens: int
    loss: float
    learning_rate: float
    tokens_per_second: float
    mfu: float | None
    memory: int | None
    seconds: float
    seconds_left: float
    evaluation: Evaluation | None = None


class Journal:
    """A hook of the loop that tells how a training goes.

    Args:
        record: Where lines are written.
        batches: Say how many tokens a step reads.
        setup: Says the learning rate.
        device: Whose memory is told.
        log_steps: Steps between two lines.
        evaluator: Whose findings are told; None = there are none.
        flops: Floating-point operations per token.
        peak: Floating-point operations per second of all devices together; None = not known.
        watch: Called with each status.
        trackers: Kinds of trackers to open.
        run: What they are told of the run; `step` is filled in.
    """

    def __init__(
        self,
        record: Record,
        batches: Batches,
        setup: TrainSetup,
        device: torch.device,
        *,
        log_steps: int,
        evaluator: Evaluator | None,
        flops: float,
        peak: float | None,
        watch: Callable[[Status], None] | None,
        trackers: Sequence[Callable[[TrackedRun], Tracker]],
        run: Callable[[int], TrackedRun],
    ) -> None:
        self._record, self._batches, self._setup, self._device = record, batches, setup, device
        self._log_steps, self._evaluator, self._watch = log_steps, evaluator, watch
        self._flops, self._peak, self._kinds, self._run = flops, peak, trackers, run
        self._trackers: list[Tracker] = []
        self._losses: list[float] = []
        self._begun = False
        self._tokens = self._new = 0
        self._before = self._trained = 0.0
        self._since = time.perf_counter()
        self._evaluated = 0.0

    def __call__(self, model: nn.Module, progress: Progress) -> None:
        """After a step of the loop."""
        if not self._begun:
            self._begin(progress.step - 1)
        read = self._batches.tokens(progress.step - 1)
        self._tokens, self._new = self._tokens + read, self._new + read
        self._losses.append(progress.loss)
        evaluated = progress.quality is not None
        last = progress.step == progress.steps
        if evaluated or last or progress.step % self._log_steps == 0:
            self._tell(progress, self._evaluator.last if evaluated and self._evaluator else None)

    def close(self) -> None:
        """Close the trackers."""
        for tracker in self._trackers:
            tracker.end()

    def _begin(self, done: int) -> None:
        """Take the record up after `done` steps."""
        self._begun = True
        self._record.drop(lambda event: event.get("step", 0) > done)
        lines = [event for event in self._record.events() if event["event"] == "step"]
        told = 0
        if lines:
            told, self._tokens = lines[-1]["step"], lines[-1]["tokens"]
            self._before = lines[-1]["seconds"]
        self._tokens += sum(map(self._batches.tokens, range(told, done)))
        if done:
            self._record.write("resumed", step=done)
        self._trackers = [kind(self._run(done)) for kind in self._kinds]

    def _tell(self, progress: Progress, evaluation: Evaluation | None) -> None:
        status = self._status(progress, evaluation)
        line = {name: value for name, value in asdict(status).items() if name != "evaluation"}
        line.pop("seconds_left")
        self._record.write("step", **line)
        values = {"train/loss": status.loss, "train/learning_rate": status.learning_rate}
        values |= {
            "speed/tokens_per_second": status.tokens_per_second,
            "train/tokens": status.tokens,
        }
        values |= {} if status.mfu is None else {"speed/mfu": status.mfu}
        values |= {} if status.memory is None else {"memory/bytes": status.memory}
        samples: list[dict[str, str]] = []
        if evaluation is not None:
            assert self._evaluator is not None
            found = {name: one for name, one in asdict(evaluation).items() if one is not None}
            self._record.write("evaluation", step=status.step, tokens=status.tokens, **found)
            values |= {f"evaluation/{name}": float(one) for name, one in found.items()}
            samples = self._evaluator.samples
            if samples:
                self._record.write("samples", step=status.step, samples=samples)
        for tracker in self._trackers:
            tracker.numbers(status.step, values)
            for number, sample in enumerate(samples, 1):
                tracker.text(status.step, f"sample/{number}", sample["prompt"] + sample["text"])
        if self._watch is not None:
            self._watch(status)

    def _status(self, progress: Progress, evaluation: Evaluation | None) -> Status:
        now = time.perf_counter()
        evaluated = self._evaluator.seconds if self._evaluator else 0.0
        took = max(1e-9, now - self._since - (evaluated - self._evaluated))
        self._trained += took
        speed = self._new / took
        loss, factor = sum(self._losses) / len(self._losses), self._setup.schedule.factor
        steps = len(self._losses)
        self._losses, self._new, self._since, self._evaluated = [], 0, now, evaluated
        return Status(
            step=progress.step,
            steps=progress.steps,
            tokens=self._tokens,
            loss=loss,
            learning_rate=self._setup.optimizer.learning_rate
            * factor(progress.step - 1, progress.steps),
            tokens_per_second=speed,
            mfu=None if not self._peak else self._flops * speed / self._peak,
            memory=_memory(self._device),
            seconds=self._before + self._trained,
            seconds_left=took / steps * (progress.steps - progress.step),
            evaluation=evaluation,
        )


def _memory(device: torch.device) -> int | None:
    """The peak of a GPU's allocations; on the CPU what this process holds, where Linux tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_bytes("VmRSS") if sys.platform == "linux" else None
