"""`leanformer train` beside transformers' `Trainer`, and a small language model of film reviews.

    python benchmarks/pretraining.py clock       (on a quiet machine! a quarter of an hour)
    python benchmarks/pretraining.py train       (at most a core-hour; goes on where it was stopped)
    python benchmarks/pretraining.py page        (writes docs/results/pretraining.md)

`clock`: a BERT-like and a GPT-2-like model of 4 layers of width 256 are trained from the same
random weights for the same steps on the same rows of IMDB reviews, in fp32 on one thread, in pairs
that take turns at who begins. The Trainer is at its best: fused AdamW, rows grouped by length for
the masked model, packed for the causal one, the faster of its attentions. Ours does what
`leanformer train` does, with the head at the hidden tokens alone for the masked model. Both are
then evaluated on the same held-out reviews: a speed at another loss is none. `--tiny` is for tests.
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from foundation_tables import ROOT
from pretraining_page import MEASURED, write_page
from rivals_sets import SHARED

from leanformer.core.record import Record, read
from leanformer.data.corpus import Corpus, PreparedCorpus, prepare, train_tokenizer
from leanformer.measure.environment import environment
from leanformer.models.io.tokenizer_files import load_tokenizer
from leanformer.pretrain import Architecture, described, run
from leanformer.pretrain.architectures import build
from leanformer.pretrain.evaluation import measured
from leanformer.train import Loss, Supervised, TrainSetup, fit
from leanformer.train.corpus_batches import CorpusBatches
from leanformer.train.masking import masking
from leanformer.train.memory import ChunkedCrossEntropy
from leanformer.train.optimizers import AdamW
from leanformer.train.schedules import LinearDecay
from leanformer.train.steps.pretrain import MaskedLanguage

REVIEWS = SHARED / "lm" / "imdb_unsup" / "reviews10k.txt.gz"
FOLDER = ROOT / "runs" / "pretraining"
KINDS = {"masked-lm": "bert", "causal-lm": "gpt2"}
PAIRS, STEPS, BATCH, LENGTH, VOCABULARY, RATE = 3, 40, 16, 128, 8000, 1e-3
TOKENS, MINUTES = 2_500_000, 55  # of the language model


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "clock", "page"])
    parser.add_argument("--tiny", type=Path, help="a text file in place of the reviews, for tests")
    parser.add_argument("--out", type=Path, default=MEASURED)
    asked = parser.parse_args()
    if asked.what == "page":
        write_page()
        return
    torch.set_num_threads(1)
    work = {"train": language_model, "clock": clock}[asked.what]
    work(asked.tiny or REVIEWS, asked.out, asked.tiny is not None)


def language_model(corpus: Path, out: Path, tiny: bool) -> None:
    """Train a causal language model by the command's own recipe, and note what came of it."""
    recipe = described(
        {
            "corpus": {"paths": [str(corpus)], "held_out": 0.1 if tiny else 0.02},
            "model": {"architecture": "gpt2", "size": "mini"},
            "tokenizer": {"vocabulary": 300 if tiny else VOCABULARY},
            "max_length": 32 if tiny else 256,
            "batch_tokens": 256 if tiny else 4096,
            "report_to": [],
            "samples": {"prompts": ["This film", "I watched it because", "The actors"]},
            "name": "IMDB reviews",
            "train": {
                "tokens": 500 if tiny else TOKENS,
                "learning_rate": RATE,
                "schedule": {"use": "cosine", "warmup": 0.03},
                "evaluations": 2 if tiny else 20,
                "max_tokens_per_microbatch": 4096,
            },
        }
    )
    folder = out.parent / "tiny-lm" if tiny else FOLDER / "imdb"
    ended = run(recipe, folder, watch=print, minutes=MINUTES)
    if ended.stopped:
        print(f"stopped after step {ended.step}: the same command goes on")
        return
    events = read(folder / "events.jsonl")
    last = [event for event in events if event["event"] == "step"][-1]
    Record(out).write(
        "language-model",
        about={key: value for key, value in events[0].items() if key != "settings"},
        evaluation=ended.evaluation,
        samples=events[-1]["samples"],
        **{key: last[key] for key in ("tokens", "seconds", "tokens_per_second", "mfu", "memory")},
    )


def clock(corpus: Path, out: Path, tiny: bool) -> None:
    """Train both systems in turn, as many pairs of each kind as are missing."""
    pairs, steps = (1, 3) if tiny else (PAIRS, STEPS)
    done = [event for event in Record(out).events() if event["event"] == "clock"]
    for kind in KINDS:
        race = Race(kind, corpus, out.parent / "tiny" if tiny else FOLDER, steps, tiny)
        systems = {"leanformer": race.ours, **race.rivals()}
        for pair in range(pairs):
            order = list(systems.items())
            for name, call in order if pair % 2 == 0 else reversed(order):
                if any((e["kind"], e["system"], e["pair"]) == (kind, name, pair) for e in done):
                    continue
                found = call(pair)
                told = {"kind": kind, "system": name, "pair": pair, "steps": steps}
                Record(out).write("clock", **told, **found, environment=environment(1))


class Race:
    """One kind of model, its rows, and the systems that train it.

    Args:
        kind: "masked-lm" or "causal-lm".
        corpus: The texts.
        folder: Where tokenizer and rows are kept.
        steps: Optimizer steps of each training.
        tiny: Whether everything is small, for tests.
    """

    def __init__(self, kind: str, corpus: Path, folder: Path, steps: int, tiny: bool) -> None:
        self.kind, self.steps, self.causal = kind, steps, kind == "causal-lm"
        self.length = 32 if tiny else LENGTH
        asked = Corpus(paths=(str(corpus),), held_out=0.1 if tiny else 0.02)
        place = folder / kind
        if not (place / "tokenizer").is_dir():
            train_tokenizer(
                asked,
                place / "tokenizer",
                kind=kind,
                max_length=self.length,
                vocabulary=300 if tiny else VOCABULARY,
            )
        self.tokenizer = load_tokenizer(place / "tokenizer")
        self.prepared: PreparedCorpus = prepare(
            asked,
            self.tokenizer,
            place / "corpus",
            kind=kind,
            max_length=self.length,
            packing="packed" if self.causal else "grouped",
        )
        held_out = self.prepared.held_out(2_000 if tiny else 20_000)
        self.held_out = held_out if self.causal else masking(self.tokenizer).encoded(held_out, 0)
        width = {"layers": 1, "width": 32, "heads": 2} if tiny else {"size": "mini"}
        self.architecture = Architecture(architecture=KINDS[kind], **width)

    def model(self, seed: int) -> Any:
        """A new model, the same for both systems."""
        made = build(self.architecture, self.kind, self.tokenizer, self.length, seed)  # type: ignore[arg-type]
        made.config.pad_token_id = None if self.causal else made.config.pad_token_id
        return made

    def ours(self, seed: int) -> dict[str, Any]:
        """As `leanformer train` does it."""
        model = self.model(seed)
        batches = CorpusBatches(self.prepared, max_tokens=16384, seed=seed, batch_size=BATCH)
        loss: Loss = Supervised("causal-lm")
        if not self.causal:
            loss = MaskedLanguage(masking(self.tokenizer))
        setup = TrainSetup(
            steps=self.steps,
            batch_size=BATCH,
            optimizer=AdamW(learning_rate=RATE, weight_decay=0.01),
            schedule=LinearDecay(warmup=0.1),
            precision="fp32",
            memory=() if self.causal else (ChunkedCrossEntropy(tokens=0),),
        )
        seconds = _seconds(lambda: fit(model, batches, loss, setup, seed=seed))
        return self._judged(model, seconds, sum(map(batches.tokens, range(self.steps))))

    def rivals(self) -> dict[str, Callable[[int], dict[str, Any]]]:
        """The Trainer with each of its attentions."""
        return {f"Trainer, {one}": partial(self.trainer, one) for one in ("sdpa", "eager")}

    def trainer(self, attention: str, seed: int) -> dict[str, Any]:
        """transformers' Trainer on the same rows."""
        from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

        model = self.model(seed)
        model.set_attn_implementation(attention)
        rows = self._rows()
        seen: list[int] = []
        collate = DataCollatorForLanguageModeling(self.tokenizer, mlm=not self.causal)

        def collated(some: list[dict[str, Any]]) -> Any:
            seen.append(sum(len(one["input_ids"]) for one in some))
            return collate(some)

        if self.causal and self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        arguments = TrainingArguments(
            output_dir=str(FOLDER / "trainer"),
            max_steps=self.steps,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            weight_decay=0.01,
            warmup_steps=self.steps // 10,
            lr_scheduler_type="linear",
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            train_sampling_strategy="random" if self.causal else "group_by_length",
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            seed=seed,
        )
        made = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collated)
        seconds = made.train().metrics["train_runtime"]  # without what it prepares before it
        return self._judged(model, seconds, sum(seen[: self.steps]))

    def _rows(self) -> list[dict[str, list[int]]]:
        """The rows of the corpus as lists; packed ones that are not full are left out."""
        import numpy as np

        found = []
        for index in range(len(self.prepared.rows)):
            batch = self.prepared.rows.batch(np.array([index]))
            ids = batch.inputs["input_ids"][0].tolist()
            if not self.causal or batch.tokens == self.length:
                found.append({"input_ids": ids})
        return found

    def _judged(self, model: Any, seconds: float, tokens: int) -> dict[str, Any]:
        model.set_attn_implementation("sdpa")
        nats, _, predicted = measured(model, self.held_out, "fp32")
        return {"seconds": seconds, "tokens": tokens, "loss": nats / predicted}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
