"""The ways to distil that `distillation.py` compares: how each student begins, and its steps.

    start        what a student begins as: parts of its teacher, or of the pre-trained model
    way          the steps that follow, and the share of the task's budget that they are given

All students are as small as one another (`half-depth` apart), so that only the way differs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from foundation import show
from foundation_plans import MINILM, PLANS, RUNS, SHARED
from foundation_tables import ROOT
from transfer_texts import review_sentences

from leanformer.core.step import Step
from leanformer.data import Dataset, Source
from leanformer.data.task import joined
from leanformer.distill.objectives import (
    AttentionScores,
    HiddenStates,
    Labels,
    LastHidden,
    Logits,
    SoftTargets,
)
from leanformer.distill.progressive import Progressive
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.prune.criteria.units import Activation
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.recipe import Recipe, run
from leanformer.train.schedules import ConstantRate, LinearDecay
from leanformer.train.schedules.interface import LearningRateSchedule
from leanformer.train.setup import TrainSetup

OURS = ROOT / "runs" / "distillation"
BATCH = 64
GENERAL_STEPS = 600


@dataclass(frozen=True, kw_only=True)
class Task:
    """Where a task's texts and its teacher are, and how long each student is trained."""

    source: Source
    teacher: Path
    steps: int
    """Optimizer steps of every way to distil, all its stages together."""
    copies: int
    """Texts made of each training text by TinyBERT's augmentation."""
    min_count: int = 1


def _foundations(name: str, steps: int, copies: int) -> Task:
    """A task that the foundation has a teacher for."""
    return Task(
        source=PLANS[name].source,
        teacher=RUNS / name / "served-teacher",
        steps=steps,
        copies=copies,
        min_count=PLANS[name].min_count,
    )


TASKS = {
    "banking77": _foundations("banking77", 800, 4),
    "sst2": _foundations("sst2", 600, 8),
    "stsb": _foundations("stsb", 300, 5),
    "rte": Task(
        source=Source(path=str(SHARED / "glue/rte"), unlabelled=PLANS["stsb"].source.unlabelled),
        teacher=OURS / "rte" / "served-teacher",
        steps=80,
        copies=8,
    ),
}
SEVENTH = {"layers": 2, "heads": 0.5, "ffn": 416 / 1536}
SEVENTH_OF_HALF = {"layers": 2, "heads": 0.5, "ffn": 416 / 768}  # the half has half of the neurons
# way -> what its student begins as
WAYS = {
    "labels": "seventh",
    "soft-targets": "seventh",
    "distilbert": "seventh",
    "mobilebert": "seventh",
    "tinybert": "seventh",
    "tinybert-augmented": "seventh",
    "transfer": "seventh",
    "soft-hidden": "seventh",
    "distilbert-half": "half-depth",
    "two-rungs": "seventh-of-half",
    "neither": "plain",
    "pre-training": "general",
    "fine-tuning": "plain",
    "both": "general",
}
# the last five are asked of these sets alone
BARS = ("banking77", "sst2")
BARRED = ("two-rungs", "neither", "pre-training", "fine-tuning", "both")


def fits(name: str, way: str, dataset: Dataset) -> bool:
    """Whether a way is tried on a task: Banking77 has no text without labels."""
    if way == "transfer" and dataset.unlabelled is None:
        return False
    return way not in BARRED or name in BARS


def begun(name: str, way: str, dataset: Dataset) -> Path:
    """The student as it begins."""
    start, task = WAYS[way], TASKS[name]
    if start == "seventh-of-half":
        half = sorted((RUNS / name / "half-0").glob("*/model"))[-1]
        return _steps(name, start, half, (Shrink(**SEVENTH_OF_HALF),), dataset)
    cut = CutVocabulary(min_count=task.min_count)
    if start in ("plain", "general"):
        return _steps(name, start, _general(start), (cut,), dataset)
    shape = SEVENTH if start == "seventh" else {"layers": 3}
    return _steps(name, start, task.teacher, (cut, Shrink(**shape)), dataset)


def _steps(name: str, start: str, model: Path, steps: tuple[Step, ...], dataset: Dataset) -> Path:
    recipe = Recipe(name=start, model=str(model), data=TASKS[name].source, steps=steps)
    return run(recipe, OURS / name / start, dataset=dataset).saved


def _general(start: str) -> Path:
    """A seventh of the pre-trained model, as it is or taught by the whole on any text (TinyBERT's
    first stage), before anything is known of a task."""
    source = Source(path=str(review_sentences(SHARED, OURS / "reviews.txt")), kind="embedding")
    dataset = source.read()
    taught = Distill(
        objectives=(AttentionScores(heads="mean"), HiddenStates()),
        train=_budget(dataset, GENERAL_STEPS, 1, False, ConstantRate()),
        load_best_at_end=False,
        require_improvement=False,
    )
    cut = Shrink(**SEVENTH, criterion=Activation())  # nothing has labels here
    recipe = Recipe(
        name=start,
        model=MINILM,
        teacher=MINILM,
        data=source,
        steps=(cut, taught) if start == "general" else (cut,),
    )
    return run(recipe, OURS / start, dataset=dataset, watch=show).saved


def steps_of(name: str, way: str, dataset: Dataset) -> tuple[Step, ...]:
    """One way to distil, as steps of a recipe."""
    task = TASKS[name]
    regression = dataset.task.kind == "regression"
    answers = Logits() if regression else SoftTargets()
    softer = Logits(weight=5) if regression else SoftTargets(temperature=2.0, weight=5.0)
    # What the teacher said is kept where a text is seen more than once, by one way or by several.
    said, shown, told = (OURS / name / kept for kept in ("answers", "hidden", "transfer"))
    few = dataset.unlabelled is None
    augment = Substitution(copies=task.copies)

    def stage(*objectives, share=1.0, texts=1.0, transfer=False, **more) -> Distill:
        # TinyBERT's layers are taught at a constant rate
        schedule = ConstantRate() if "load_best_at_end" in more else LinearDecay()
        train = _budget(dataset, task.steps * share, texts, transfer, schedule)
        # a way that does not help is a result too
        return Distill(
            objectives=objectives,
            unlabelled=transfer,
            train=train,
            require_improvement=False,
            **more,
        )

    def tinybert(kept=None, **more) -> tuple[Step, ...]:
        layers = (AttentionScores(heads="mean"), HiddenStates())
        return (
            stage(*layers, share=0.5, load_best_at_end=False, **more),
            stage(answers, share=0.5, teacher_cache=kept, **more),
        )

    def mobilebert() -> tuple[Step, ...]:
        each = _budget(dataset, task.steps / 4, 1, False)
        return (
            Progressive(attention=0, unlabelled=False, train=each),
            stage(answers, share=0.5, teacher_cache=said),
        )

    def soft_hidden(**more) -> tuple[Step, ...]:
        kept = shown if few else None
        return (stage(answers, HiddenStates(), transfer=True, teacher_cache=kept, **more),)

    def labels() -> tuple[Step, ...]:
        return (stage(Labels(), teacher_cache=said),)

    def soft() -> tuple[Step, ...]:
        return (stage(answers, teacher_cache=said),)

    def distilbert(kept=shown, **more) -> tuple[Step, ...]:
        return (stage(softer, Labels(weight=2.0), LastHidden(), teacher_cache=kept, **more),)

    def distilbert_half() -> tuple[Step, ...]:
        # what RTE's teacher knows it knows from SNLI's pairs; RTE's 2,241 alone do not show it
        return distilbert(None, share=5, transfer=True) if name == "rte" else distilbert()

    made: dict[str, Callable[[], tuple[Step, ...]]] = {
        "labels": labels,
        "soft-targets": soft,
        "distilbert": distilbert,
        "distilbert-half": distilbert_half,
        "mobilebert": mobilebert,
        "tinybert": lambda: tinybert(said),
        "tinybert-augmented": lambda: tinybert(texts=1 + task.copies, augmentation=augment),
        "transfer": lambda: (stage(answers, transfer=True, teacher_cache=told),),
        "soft-hidden": soft_hidden,
        "two-rungs": lambda: soft_hidden(share=4),
        "neither": labels,
        "pre-training": labels,
        "fine-tuning": soft,
        "both": soft,
    }
    return made[way]()


def _budget(
    dataset: Dataset, steps: float, texts: float, transfer: bool, schedule: LearningRateSchedule
) -> TrainSetup:
    """A training of about so many steps, whatever the number of texts."""
    unlabelled = dataset.unlabelled if transfer else None
    count = len(joined(dataset.train, unlabelled, dataset.task.kind)) * texts
    setup = TrainSetup(
        epochs=round(steps * BATCH / count, 3),
        learning_rate=4e-4,
        batch_size=BATCH,
        evaluations=5,
    )
    return replace(setup, schedule=schedule)
