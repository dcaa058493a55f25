"""Lottery tickets of the pre-trained encoder on a task, beside their controls.

Before them it is asked whether a ticket is to be expected at all: two trainings go on from the step
that weights are put back to, with the data in another order each, and the quality between their
ends says whether they lie in one valley (`leanformer.prune.connectivity`).
"""

from dataclasses import replace

from distillation import dataset_of
from foundation import show
from foundation_plans import MINILM
from pruning_tables import QUALITIES
from pruning_ways import OURS, setup, source_of
from torch import Tensor, nn

from leanformer.core.record import Record, read
from leanformer.data import Dataset, encode_examples
from leanformer.prune.connectivity import barrier
from leanformer.prune.lottery import Lottery
from leanformer.recipe import Recipe, open_model, run
from leanformer.train.checkpoints import checkpoint
from leanformer.train.evaluate import make_evaluator
from leanformer.train.loop import Progress, fit
from leanformer.train.loss import Supervised
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.finetune import Finetune

STEPS = 300
REWIND = 0.05
CONTROLS = ("random-weights", "random-mask", "signs")


def tickets(name: str, seed: int) -> None:
    """Four rounds, down to a fifth of the weights, and the barrier; append what is not there."""
    dataset = dataset_of(name)
    train = setup(name, dataset, 1e-4, STEPS)
    by = Finetune(train=train, require_improvement=False)
    ticket = Lottery(by=by, rounds=4, prune_fraction=0.331, rewind=REWIND, controls=CONTROLS)
    place = OURS / name / f"tickets-{seed}"
    recipe = Recipe(
        name=f"{name}-tickets-{seed}",
        model=MINILM,
        data=source_of(name, "tickets"),
        steps=(ticket,),
        seed=seed,
    )
    run(recipe, place, dataset=dataset, watch=show)
    known = read(QUALITIES) if QUALITIES.is_file() else []
    there = {e["event"] for e in known if (e["data"], e["seed"]) == (name, seed)}
    if "ticket" not in there:
        for event in read(place / "record.jsonl"):
            if event["event"] == "ticket":
                kept = {key: event[key] for key in ("round", "way", "kept", "quality")}
                Record(QUALITIES).write("ticket", data=name, seed=seed, **kept)
    if "barrier" not in there:
        found = between(dataset, seed, train)
        Record(QUALITIES).write("barrier", data=name, seed=seed, barrier=found)


def between(dataset: Dataset, seed: int, train: TrainSetup) -> float:
    """How far dev falls between the ends of two trainings from the step of rewinding."""
    model, tokenizer = open_model(MINILM, dataset, seed)
    kind = dataset.task.kind
    texts, dev = (encode_examples(s, tokenizer, kind, 128) for s in (dataset.train, dataset.dev))
    early: dict[str, Tensor] = {}

    def note(model: nn.Module, progress: Progress) -> None:
        if progress.step == round(REWIND * progress.steps):
            early.update(copied(model))

    fit(model, texts, Supervised(kind), train, hooks=[note], seed=seed)
    one = copied(model)
    model.load_state_dict(early, strict=False)
    fit(model, texts, Supervised(kind), replace(train, start_fraction=REWIND), seed=1000 + seed)
    return barrier(model, one, copied(model), make_evaluator(dev, dataset.task, None, "fp32"))


def copied(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model, of their own."""
    return {name: tensor.clone() for name, tensor in checkpoint.weights(model).items()}
