"""The ways to prune that `pruning.py` compares, as steps of a recipe.

    sparse       weights go to zero, to a share that is asked for; no gain in time
    blocks       neurons and blocks of 32 x 32 go, by movement or (`block-magnitude`) by magnitude,
                 and what is empty is cut out
    shapes       layers, neurons or heads are cut out at once, and the student is taught afterwards;
                 `third-of-half`, `narrow` and `wide` take two such stages

`depth`, `width` and `heads` were chosen to take the same time in int8 (a third less than their
teacher), so that their qualities can be compared; `half` and `third` are the foundation's shapes.
All but `sparse-gpt` are taught by the teacher: answers, hidden states, and labels beside them.
"""

from dataclasses import replace

from distillation_ways import TASKS
from foundation_tables import ROOT

from leanformer.core.step import Step
from leanformer.data import Dataset, Source
from leanformer.distill.objectives import HiddenStates, Labels, Logits, SoftTargets
from leanformer.distill.step import Distill
from leanformer.prune.criteria.weights import BrainSurgeon, Movement, WeightMagnitude
from leanformer.prune.drop_empty import DropEmpty
from leanformer.prune.pack_sparse import PackSparse
from leanformer.prune.patterns import Hybrid
from leanformer.prune.schedules import Cubic
from leanformer.prune.shrink import Shrink
from leanformer.prune.sparse_gpt import SparseGpt
from leanformer.prune.sparsify import Sparsify
from leanformer.quantize.int8 import Int8
from leanformer.train.setup import TrainSetup

OURS = ROOT / "runs" / "pruning"
BATCH = 32
STEPS = {"banking77": 1200, "sst2": 600, "rte": 1000}
CRITERIA = {
    "magnitude": WeightMagnitude(),
    "movement": Movement(rate=100.0),
    "surgeon": BrainSurgeon(block_size=8),
    "blocks": Movement(rate=100.0),
    "block-magnitude": WeightMagnitude(),
}
SPARSE = ("sparse-gpt", *CRITERIA)
HALF = Shrink(layers=3, ffn=0.5)
SHAPES = {
    "depth": (Shrink(layers=4),),
    "width": (Shrink(ffn=7 / 24),),
    "heads": (Shrink(heads=2 / 12),),
    "half": (HALF,),
    "third": (Shrink(layers=2, ffn=0.5, heads=0.5),),
    "third-of-half": (HALF, Shrink(layers=2, heads=0.5)),
    "narrow": (HALF, Shrink(heads=4 / 12, ffn=0.5)),
    "wide": (HALF, Shrink(heads=6 / 12, ffn=0.5)),
}
WAYS = (*SPARSE, *SHAPES)


def steps_of(name: str, way: str, share: float | None, dataset: Dataset) -> tuple[Step, ...]:
    """A way as steps of a recipe; `share` is of the weights that stay, where the way has one."""
    if way in SHAPES:
        teaching = taught(name, way, dataset)
        return *(step for shrink in SHAPES[way] for step in (shrink, teaching)), Int8()
    assert share is not None
    if way == "sparse-gpt":
        return SparseGpt(sparsity=1 - share), PackSparse()
    sparse = Sparsify(
        by=taught(name, way, dataset),
        sparsity=1 - share,
        criterion=CRITERIA[way],
        schedule=Cubic(hold=0.1, cool=0.3),
        every=100 if way == "surgeon" else 10,
    )
    if way.startswith("block"):
        return replace(sparse, pattern=Hybrid()), DropEmpty(), Int8()
    return sparse, PackSparse()


def taught(name: str, way: str, dataset: Dataset) -> Distill:
    """The teaching of a way."""
    answer = Logits() if dataset.task.kind == "regression" else SoftTargets()
    shaped, transfer = way in SHAPES, transferred(name, way)
    return Distill(
        objectives=(answer, HiddenStates()) if shaped else (answer, HiddenStates(), Labels()),
        train=setup(name, dataset, 4e-4 if shaped else 3e-4, unlabelled=transfer),
        unlabelled=transfer,
        require_improvement=False,
        # a fifth of a step; one process a task writes them, and transfer texts would take 9 GB
        teacher_cache=None if transfer else OURS / name / "outputs",
    )


def transferred(name: str, way: str) -> bool:
    """Whether a way learns from texts without labels too."""
    # what was cut at once has more to learn; RTE's 2,241 pairs do not show what its teacher knows
    return way in SHAPES or name == "rte"


def setup(
    name: str, dataset: Dataset, rate: float, steps: int | None = None, *, unlabelled: bool = False
) -> TrainSetup:
    """A training of about so many steps, whatever the number of texts."""
    texts = len(dataset.train) + (len(dataset.unlabelled or ()) if unlabelled else 0)
    return TrainSetup(
        epochs=round((steps or STEPS[name]) * BATCH / texts, 3),
        learning_rate=rate,
        batch_size=BATCH,
        evaluations=3,
        freeze_embeddings=True,
    )


def source_of(name: str, way: str) -> Source:
    """Where the texts of a way are."""
    source = TASKS[name].source
    return source if transferred(name, way) else replace(source, unlabelled=None)
