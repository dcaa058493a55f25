"""What a CUDA device does in training: utilization, largest batches, layers that are swapped.

    python benchmarks/training_cuda.py           (ten minutes at most, on a device of its own)
    python benchmarks/training_cuda.py --page    (writes docs/results/training-cuda.md)

GPT-2 small and BERT base are trained on random tokens in bf16 by the one loop, fused AdamW, the
fastest microbatch that fits; MFU is model FLOPs (`measure.training_flops`) over the peak of a
matrix product on the same device (`measure.peak_flops`). The largest batch of each memory saver is
found by doubling and halving. Where there is no CUDA device, or no time is left, that is said on
the page. `--tiny` runs all of it on small models, for tests; `--device cpu` too.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from training_cuda_page import MEASURED, write_page

from leanformer.core.record import Record
from leanformer.data import Batch
from leanformer.measure.environment import environment
from leanformer.measure.peak_flops import peak_flops
from leanformer.measure.training_flops import training_flops_per_token
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.pretrain import Architecture
from leanformer.pretrain.architectures import build
from leanformer.train import Supervised, TrainSetup, fit
from leanformer.train.batches import Batches
from leanformer.train.memory import (
    CheckpointActivations,
    ChunkedCrossEntropy,
    MemorySaver,
    OffloadActivations,
    OffloadOptimizer,
    SwapLayers,
)
from leanformer.train.optimizers import AdamW
from leanformer.train.schedules import ConstantRate

SECONDS = 570
ALL = (
    "utilization of GPT-2 small and BERT base (bar: 45 % in bf16)",
    "the largest batch with each memory saver",
    "how much of the copying of swapped layers is hidden",
)
MODELS = {"gpt2": ("causal-lm", 1024, 50304), "bert": ("masked-lm", 512, 30528)}
SAVERS: dict[str, tuple[MemorySaver, ...]] = {
    "none": (),
    "chunked-cross-entropy": (ChunkedCrossEntropy(),),
    "checkpoint-activations": (CheckpointActivations(),),
    "offload-activations": (OffloadActivations(),),
    "offload-optimizer": (OffloadOptimizer(),),
    "swap-layers": (SwapLayers(),),
    "swap-layers, 8 rows": (SwapLayers(rows=8),),
    "checkpoint-activations + chunked-cross-entropy": (
        CheckpointActivations(),
        ChunkedCrossEntropy(),
    ),
}


class RandomTokens(Batches):
    """Rows of random tokens, all of one length; every token is a target."""

    def __init__(self, rows: int, length: int, vocabulary: int, steps: int) -> None:
        self.rows, self.length, self.vocabulary = rows, length, vocabulary
        self.steps_per_epoch, self.longest = steps, length
        self.epoch_tokens, self.whole_tokens = steps * rows * length, 0

    def at(self, step: int) -> list[Batch]:
        """See `Batches.at`."""
        chance = torch.Generator().manual_seed(step)
        ids = torch.randint(5, self.vocabulary, (self.rows, self.length), generator=chance)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        labels = torch.randint(5, self.vocabulary, ids.shape, generator=chance)
        return [Batch(inputs, labels, torch.arange(self.rows))]

    def state(self) -> dict[str, Any]:
        """See `Batches.state`."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Batches.restore`."""


class Bench:
    """The measurements, until the time is over.

    Args:
        record: Where they go.
        device: Where they are made.
        tiny: Whether models and batches are small, for tests.
    """

    def __init__(self, record: Record, device: torch.device, tiny: bool) -> None:
        self.record, self.device, self.tiny = record, device, tiny
        self.ends = time.monotonic() + SECONDS
        self.peak = peak_flops(device, torch.bfloat16)

    def run(self) -> None:
        """All of it; what no time was left for is told."""
        about = {"peak_flops": self.peak, "device": self._named(), "environment": environment()}
        self.record.write("cuda", **about)
        for name, work in self._works():
            if time.monotonic() > self.ends:
                self.record.write("not-run", what=name, why="no time was left")
                continue
            try:
                work()
            except (torch.OutOfMemoryError, ValueError, RuntimeError) as error:
                self.record.write("not-run", what=name, why=str(error)[:300])
                self._clear()

    def _works(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for name in MODELS:
            yield f"utilization of {name}", lambda name=name: self._utilization(name, False)
        for saver in SAVERS:
            yield f"largest batch of gpt2 with {saver}", lambda saver=saver: self._largest(saver)
        yield "how far copies of swapped layers are hidden", self._overlap
        for name in MODELS:
            yield (
                f"utilization of {name}, compiled",
                lambda name=name: self._utilization(name, True),
            )

    def _utilization(self, name: str, compiled: bool) -> None:
        """MFU at the batch that is fastest among those that fit."""
        kind, length, _ = self._shape(name)
        best: dict[str, Any] = {}
        rows = 2 if self.tiny else 8
        while time.monotonic() < self.ends:
            found = self._tried(name, rows, (), steps=12, compiled=compiled)
            if found is None or found["tokens_per_second"] < best.get("tokens_per_second", 0):
                break
            best = {"rows": rows, **found}
            rows *= 2
            if self.tiny:
                break
        causal = kind == "causal-lm"
        flops = training_flops_per_token(self._model(name), length, causal=causal)
        mfu = flops * best["tokens_per_second"] / self.peak
        self.record.write("utilization", model=name, compiled=compiled, mfu=mfu, **best)

    def _largest(self, saver: str) -> None:
        """The most rows that fit, to about an eighth."""
        found: dict[str, Any] = {}

        def fits(rows: int) -> bool:
            tried = None
            if time.monotonic() < self.ends:
                tried = self._tried("gpt2", rows, SAVERS[saver], steps=3)
            found.update(tried or {})
            return tried is not None

        rows = largest(fits, 2 if self.tiny else 8, 4 if self.tiny else 4096)
        self.record.write("largest", saver=saver, rows=rows, **found)

    def _overlap(self) -> None:
        """Speed with layers swapped, over that without, at the same batch."""
        rows = 2 if self.tiny else 16
        speeds = {}
        for saver in ("none", "swap-layers"):
            tried = self._tried("gpt2", rows, SAVERS[saver], steps=12)
            if tried is None:
                raise RuntimeError(f"{rows} rows do not fit with {saver}")
            speeds[saver] = tried["tokens_per_second"]
        ratio = speeds["swap-layers"] / speeds["none"]
        self.record.write("overlap", rows=rows, ratio=ratio, speeds=speeds)

    def _tried(
        self,
        name: str,
        rows: int,
        savers: Sequence[MemorySaver],
        *,
        steps: int,
        compiled: bool = False,
    ) -> dict[str, Any] | None:
        """Speed and memory of some steps; None where the memory does not suffice."""
        kind, length, vocabulary = self._shape(name)
        model = self._model(name).to(self.device)
        setup = TrainSetup(
            steps=steps,
            optimizer=AdamW(learning_rate=1e-4),
            schedule=ConstantRate(),
            precision="bf16",
            compile=compiled,
            memory=tuple(savers),
        )
        times: list[float] = []

        def hook(model: Any, progress: Any) -> None:
            times.append(time.perf_counter())  # the loop has read the loss: the step is done

        try:
            fit(
                model,
                RandomTokens(rows, length, vocabulary, steps),
                Supervised(kind),
                setup,
                keep_best=False,
                hooks=[hook],
            )
        except torch.OutOfMemoryError:
            return None
        finally:
            del model
        begin = len(times) // 3  # the first steps allocate and choose kernels
        speed = rows * length * (len(times) - 1 - begin) / (times[-1] - times[begin])
        memory = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else None
        self._clear()
        return {"tokens_per_second": speed, "memory": memory}

    def _shape(self, name: str) -> tuple[str, int, int]:
        kind, length, vocabulary = MODELS[name]
        return (kind, 16, 100) if self.tiny else (kind, length, vocabulary)

    def _model(self, name: str) -> Any:
        kind, length, vocabulary = self._shape(name)
        shape: dict[str, Any] = {"size": "base"}
        if self.tiny:
            shape = {"layers": 2, "width": 32, "heads": 2}
        settings = {"vocab_size": vocabulary}
        asked = Architecture(architecture=name, settings=settings, **shape)
        asked = replace(asked, max_length=length)
        return build(asked, kind, tiny_tokenizer(name), length, 0)  # type: ignore[arg-type]

    def _named(self) -> str:
        return torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"

    def _clear(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def largest(fits: Callable[[int], bool], rows: int, most: int) -> int:
    """The most rows that fit, to about an eighth; 0 where not even `rows` do.

    Args:
        fits: Tries a number of rows.
        rows: Where to begin.
        most: More are not tried.
    """
    good = 0
    while rows <= most and fits(rows):
        good, rows = rows, 2 * rows
    step = good // 2
    while good and rows <= most and step >= max(1, good // 8):
        if fits(good + step):
            good += step
        step //= 2
    return good


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=MEASURED)
    asked = parser.parse_args()
    if asked.page:
        write_page()
        return
    record = Record(asked.out)
    if asked.device == "cuda" and not torch.cuda.is_available():
        for what in ALL:
            record.write("not-run", what=what, why="this machine has no CUDA device")
        print("skipped: this machine has no CUDA device")
        return
    Bench(record, torch.device(asked.device), asked.tiny).run()


if __name__ == "__main__":
    main()
