"""What each memory saver saves, and what it costs: one training step of a model of 12 x 768.

    python benchmarks/memory_savers.py clock [bert] [gpt2]
                                                (on a quiet machine! 10 to 15 minutes each)
    python benchmarks/memory_savers.py predict  (what is said before: a minute, nothing is timed)
    python benchmarks/memory_savers.py page     (writes docs/results/memory-savers.md)

Each way trains in a process of its own, a few steps of one random batch: BERT with 15 % of the
tokens hidden, GPT-2 with every token a target. Ways take turns, round by round, and a way's time is
divided by that of the plain training of the same round. Memory is counted to the byte, tensor by
tensor, in a step of its own (`leanformer.train.account`).
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import torch
from memory_savers_page import MEASURED, write_page
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from leanformer.core.record import Record
from leanformer.data import IGNORE, Batch
from leanformer.measure.environment import environment
from leanformer.models.reversible.decoder import make_reversible
from leanformer.train import Supervised, TrainSetup
from leanformer.train.account import measure_memory, predict_memory
from leanformer.train.attention import short_attention
from leanformer.train.execution import OneDevice
from leanformer.train.memory import (
    CheckpointActivations,
    ChunkedCrossEntropy,
    OffloadActivations,
    OffloadOptimizer,
    SwapLayers,
)

WAYS: dict[str, tuple[Any, ...]] = {
    "plain": (),
    "targets": (ChunkedCrossEntropy(tokens=0),),
    "chunks": (ChunkedCrossEntropy(tokens=128),),
    "checkpoint": (CheckpointActivations(),),
    "checkpoint every 2nd": (CheckpointActivations(every=2),),
    "checkpoint, keep products": (CheckpointActivations(keep="products"),),
    "checkpoint, keep attention": (CheckpointActivations(keep="attention"),),
    "checkpoint and chunks": (CheckpointActivations(), ChunkedCrossEntropy(tokens=128)),
    "activations to disk": (OffloadActivations(to="disk"),),
    "reversible": (),
}
ON_A_GPU: dict[str, tuple[Any, ...]] = {
    "activations to host": (OffloadActivations(),),
    "optimizer to host": (OffloadOptimizer(),),
    "swap layers": (SwapLayers(),),
    "swap layers, 1 row": (SwapLayers(rows=1),),
}
ROUNDS, STEPS = 2, 2
SIZES = {"full": (12, 768, 12, 4, 128), "tiny": (2, 32, 2, 2, 16)}  # layers, width, heads, B, T
MODELS = {"bert": (AutoModelForMaskedLM, "masked-lm"), "gpt2": (AutoModelForCausalLM, "causal-lm")}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["clock", "predict", "page", "one"])
    parser.add_argument("names", nargs="*", help="the models; of `one`: a model and a way")
    parser.add_argument("--size", choices=list(SIZES), default="full")
    asked = parser.parse_args()
    if asked.what == "page":
        write_page()
    elif asked.what == "one":
        print(json.dumps(train_one(*asked.names, asked.size)))
    else:
        verb = clock if asked.what == "clock" else predict
        verb(asked.size, asked.names or list(MODELS))


def clock(size: str, models: Sequence[str]) -> None:
    """Let all ways take turns, and append what was found."""
    ways = [*WAYS, *(ON_A_GPU if torch.cuda.is_available() else ())]
    for model in models:
        ours = ways_of(model, ways)
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in ours}
        for number in range(ROUNDS):
            for way in ours if number % 2 == 0 else reversed(ours):
                found[way].append(in_a_process(model, way, size))
        for way, rounds in found.items():
            pairs = zip(rounds, found["plain"], strict=True)
            times = [one["seconds"] / plain["seconds"] for one, plain in pairs]
            Record(MEASURED).write(
                "saver",
                model=model,
                way=way,
                size=size,
                account=rounds[-1]["account"],
                seconds=[one["seconds"] for one in rounds],
                over_plain=times,
                device=rounds[-1]["device"],
                threads=torch.get_num_threads(),
                environment=environment(),
            )


def predict(size: str, models: Sequence[str]) -> None:
    """Append what `predict_memory` says of each way; null where it knows none."""
    for name in models:
        for way in ways_of(name, list(WAYS)):
            model, loss, batch = made(name, size)
            if way == "reversible":
                make_reversible(model)
            try:
                setup = TrainSetup(precision="fp32", memory=WAYS[way])
                account = asdict(predict_memory(model, loss, batch, setup))
            except ValueError:  # it moves memory elsewhere
                account = None
            Record(MEASURED).write(
                "predicted", model=name, way=way, size=size, device="cpu", account=account
            )


def ways_of(model: str, ways: Sequence[str]) -> list[str]:
    """The ways that a model can be trained in: decoders alone can be reversible."""
    return [way for way in ways if way != "reversible" or model == "gpt2"]


def in_a_process(model: str, way: str, size: str) -> dict[str, Any]:
    """What `train_one` found in a process of its own."""
    words = [sys.executable, __file__, "one", model, way, "--size", size]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train_one(model: str, way: str, size: str) -> dict[str, Any]:
    """Seconds of a step of this way, and the account of its memory."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ours, loss, batch = made(model, size)
    if way == "reversible":
        make_reversible(ours)
    ours.to(device)
    savers = (WAYS | ON_A_GPU)[way]
    setup = TrainSetup(precision="bf16" if device.type == "cuda" else "fp32", memory=savers)
    account = measure_memory(ours, loss, batch, setup)
    return {
        "seconds": seconds_of(ours, loss, batch, setup),
        "account": asdict(account),
        "device": device.type,
    }


def made(name: str, size: str) -> tuple[Any, Supervised, Batch]:
    """A random model, its loss, and a batch."""
    layers, width, heads, rows, length = SIZES[size]
    torch.manual_seed(0)
    kind, task = MODELS[name]
    config = AutoConfig.for_model(
        name,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        **({} if name == "gpt2" else {"intermediate_size": 4 * width}),
    )
    ids = torch.randint(5, config.vocab_size, (rows, length))
    shown = torch.rand(ids.shape) < 0.15 if name == "bert" else torch.ones_like(ids).bool()
    labels = ids.masked_fill(~shown, IGNORE)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    model = kind.from_config(config)
    model.config.use_cache = False
    return model, Supervised(task), Batch(inputs, labels, tuple(range(rows)))


def seconds_of(model: Any, loss: Supervised, batch: Batch, setup: TrainSetup) -> float:
    """The median time of a step, after a first one."""
    with short_attention(model, batch.inputs["input_ids"].shape[1]), ExitStack() as saving:
        for saver in setup.memory:
            saving.enter_context(saver.apply(model, loss))
        execution = OneDevice(model, loss, setup)
        times = []
        for _ in range(1 + STEPS):
            begin = time.perf_counter()
            execution.forward_backward([batch], {})
            execution.step(1.0)
            if execution.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
