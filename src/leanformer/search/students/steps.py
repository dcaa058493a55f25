"""How a student of the ladder is made: cut, shrunk, distilled, quantized.

A student of another encoder than the teacher begins with a new head, which no one has trained: what
its labels' gradients say of heads and neurons means nothing yet, and how active they are decides.

It ends with the last weights of its training, not with those of the best evaluation: where dev
chose among evaluations it could not prove a promise about what it chose.
"""

from pathlib import Path

from leanformer.core.step import Step
from leanformer.data import Dataset
from leanformer.distill.objective import Objective
from leanformer.distill.step import Distill
from leanformer.prune.criteria.units import Activation, Taylor
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.quantize.int8 import Int8
from leanformer.search.opening import new_head
from leanformer.search.request import Request, examples_of
from leanformer.search.students.ladder import Rung


def steps_of(
    rung: Rung,
    start: Rung | None,
    request: Request,
    dataset: Dataset,
    objectives: tuple[Objective, ...],
    *,
    teacher_cache: Path | None,
) -> tuple[Step, ...]:
    """The steps that lead from a model to a rung.

    Args:
        rung: What is to be made.
        start: What it begins from; None = the teacher, or the encoder that students are cut from.
        request: What is asked of the search.
        dataset: The splits.
        objectives: What a student is compared with its teacher in.
        teacher_cache: Where the teacher's outputs are kept; None = nowhere.
    """
    cut = CutVocabulary(min_count=request.min_count, first=request.first_pieces, missing_ok=True)
    distill = Distill(
        objectives=objectives,
        train=request.student_setup(examples_of(dataset)),
        max_length=request.max_length,
        teacher_max_length=None if request.student is None else request.max_length,
        teacher_cache=teacher_cache,
        load_best_at_end=False,
        require_improvement=False,  # the quality is judged afterwards, as served, by what was asked
    )
    steps: list[Step] = [] if start else [cut]
    if not rung.whole:
        untrained = start is None and new_head(request, dataset)
        steps.append(_shrink(rung, start, request, dataset, untrained))
    return (*steps, distill, Int8(max_length=request.max_length))


def _shrink(
    rung: Rung, start: Rung | None, request: Request, dataset: Dataset, untrained: bool
) -> Shrink:
    """What is removed of a model to get to a rung."""
    unlabelled = dataset.task.about.form is None or untrained
    return Shrink(
        layers=rung.layers,
        heads=rung.heads / (start.heads if start else 1),
        ffn=rung.ffn / (start.ffn if start else 1),
        criterion=Activation() if unlabelled else Taylor(),
        max_length=request.max_length,
    )
