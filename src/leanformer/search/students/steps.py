"""How a student of the ladder is made: cut, shrunk, distilled, quantized.

A student of another encoder than the teacher begins with a new head, which no one has trained: what
its labels' gradients say of heads and neurons means nothing yet, and how active they are decides.

It ends with the last weights of its training, not with those of the best evaluation: where dev
chose among evaluations it could not prove a promise about what it chose.
"""

from dataclasses import replace
from pathlib import Path

from leanformer.core.step import Step
from leanformer.data import Dataset
from leanformer.distill.objective import Objective
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.prune.criteria.units import Activation, Taylor
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.quantize.activations.moving_average import MovingAverage
from leanformer.quantize.int8 import Int8
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Uniform
from leanformer.search.opening import new_head
from leanformer.search.request import Request, copies_of, examples_of
from leanformer.search.students.ladder import Rung
from leanformer.train.setup import TrainSetup


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
    setup = request.student_setup(examples_of(request, dataset))
    distill = _distill(request, dataset, objectives, setup, teacher_cache)
    steps: list[Step] = [] if start else [cut]
    if not rung.whole:
        untrained = start is None and new_head(request, dataset)
        steps.append(_shrink(rung, start, request, dataset, untrained))
    return (*steps, distill, Int8(max_length=request.max_length))


def rounding_steps(
    request: Request,
    dataset: Dataset,
    objectives: tuple[Objective, ...],
    *,
    teacher_cache: Path | None,
) -> tuple[Step, ...]:
    """The steps that train a finished student on while its weights and inputs are rounded to 8
    bits, for a tenth of its epochs, at a quarter of its rate (Jacob et al. 2018).

    Args:
        request: What is asked of the search.
        dataset: The splits.
        objectives: What a student is compared with its teacher in.
        teacher_cache: Where the teacher's outputs are kept; None = nowhere.
    """
    setup = request.student_setup(examples_of(request, dataset))
    short = replace(
        setup, epochs=max(1.0, round(setup.epochs / 10, 1)), learning_rate=1e-4, evaluations=1
    )
    return (
        QuantizeAware(
            weights=Uniform(),
            activations=MovingAverage(decay=0.99, start_step=10),
            max_length=request.max_length,
        ),
        _distill(request, dataset, objectives, short, teacher_cache),
        Int8(max_length=request.max_length),
    )


def _distill(
    request: Request,
    dataset: Dataset,
    objectives: tuple[Objective, ...],
    setup: TrainSetup,
    teacher_cache: Path | None,
) -> Distill:
    copies = copies_of(request, dataset)
    return Distill(
        objectives=objectives,
        train=setup,
        max_length=request.max_length,
        teacher_max_length=None if request.student is None else request.max_length,
        augmentation=Substitution(copies=copies) if copies else None,
        teacher_cache=teacher_cache,
        load_best_at_end=False,
        require_improvement=False,  # the quality is judged afterwards, as served, by what was asked
    )


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
