"""A recipe from its first step to its report."""

from dataclasses import asdict
from pathlib import Path

from leanformer.core.machine.device import find_device
from leanformer.core.ranks import follows
from leanformer.core.record import Record
from leanformer.core.storage.lock import one_at_a_time
from leanformer.core.workspace import Watch, Workspace
from leanformer.data import Dataset
from leanformer.models.io.load import has_head
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe, align_labels, begin, check_exports, own_head
from leanformer.report import plan_lines, write_report
from leanformer.runtime.backends import graph_file
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.session import Precision
from leanformer.search.claim import opened_test_before
from leanformer.search.contest import Contest
from leanformer.search.describe import describe
from leanformer.search.entrants.baselines import enter_baselines
from leanformer.search.entrants.simplest import enter_simplest
from leanformer.search.finish import finish, finished
from leanformer.search.judged import check_gold
from leanformer.search.opening import open_checked
from leanformer.search.planning.facts import work_of_recipe
from leanformer.search.planning.plan import Plan, make_plan, write_plan
from leanformer.search.request import Request
from leanformer.tasks import served_kind

_INCOMPARABLE = "perplexities of different tokens cannot be compared"


@one_at_a_time("folder")
def conduct(
    recipe: Recipe,
    folder: Path,
    *,
    command: str = "",
    watch: Watch | None = None,
) -> tuple[Workspace, Path | None]:
    """Run `recipe`, measure its result beside teacher and baselines, and write the report.

    Args:
        recipe: What to do.
        folder: Where everything goes; one that holds a run of the same model and data is gone on
            with, and its equal first steps are not done again.
        command: The command line that was given, for the report.
        watch: Called with the name and the progress of each training step.

    Returns:
        The workspace after the last step, and the path of the report; None where the recipe asks
        for no measuring.

    Raises:
        ValueError: Something does not fit together, there is nothing to compare with, or the folder
            holds another run.
        NoEffect: A step had no effect.
        FolderInUse: Another process works on `folder`.
    """
    folder = folder.resolve()  # what is kept there names paths in it
    dataset, request, plan = prepare_recipe(recipe)
    record = Record(folder / "record.jsonl")
    begun = begin(recipe, folder, dataset=dataset, record=record, watch=watch)
    if watch is not None:
        watch("plan", "\n".join(plan_lines(asdict(plan))))
    describe(record, dataset, request, command)
    write_plan(record, plan)
    done = begun.do()
    if follows():  # the process that leads measures and reports
        return done, None
    if not recipe.measure:
        if dataset.task.about.served:
            _make_servable(Contest(dataset, record, request, watch), done)
        return done, None
    if finished(record):
        return done, write_report(record.path, folder / "report.html")
    assert done.teacher_saved is not None
    contest = Contest(dataset, record, request, watch)
    contest.enter_teacher(done.teacher_saved)
    _check_vocabulary(contest, done)
    enter_baselines(contest, folder / "baselines")
    contest.check_teacher()
    contest.enter_student(recipe.name, done)
    enter_simplest(contest, folder / "simplest")
    finish(contest, folder, note=_note(recipe, dataset, folder))
    return done, write_report(record.path, folder / "report.html")


def prepare_recipe(recipe: Recipe) -> tuple[Dataset, Request, Plan]:
    """All that comes before any work: the data, checked; what is asked of a contest; the plan.

    Raises:
        OSError: A file is missing.
        ValueError: Data, models or steps do not fit together.
    """
    find_device(recipe.device)
    dataset = align_labels(recipe.data.read(), own_head(recipe), recipe.teacher)
    request = _request(recipe)
    check_exports(recipe, dataset.task.kind)
    opened = open_checked(request, dataset)
    if recipe.measure:
        _check_measurable(recipe, dataset)
    work = work_of_recipe(recipe, dataset)
    return dataset, request, make_plan(request, dataset, opened.model, opened.tokenizer, work)


def _request(recipe: Recipe) -> Request:
    """The recipe as what is asked of a contest; texts are read as far as its steps read them."""
    lengths = [step.max_length for step in recipe.steps if hasattr(step, "max_length")]
    read = {"max_length": max(lengths)} if lengths else {}
    return Request(
        model=recipe.model,
        data=recipe.data,
        keep=recipe.keep,
        confidence=recipe.confidence,
        seed=recipe.seed,
        device=recipe.device,
        fresh_head=recipe.fresh_head,
        **read,
    )


def _note(recipe: Recipe, dataset: Dataset, folder: Path) -> str:
    """What weakens the promise about the result, and what was not measured."""
    notes = [_chosen_by_dev(recipe), _in_pytorch(dataset), opened_test_before(folder)]
    return " ".join(filter(None, notes))


def _in_pytorch(dataset: Dataset) -> str:
    if dataset.task.about.exported:
        return ""
    return (
        "Teacher and student ran in PyTorch fp32, because a model of this task has no exported "
        "graph: their times are of reading whole texts, not of generating, and no other runtime, "
        "no integers and no simpler rival were measured."
    )


def _chosen_by_dev(recipe: Recipe) -> str:
    trainings = [step for step in recipe.steps if hasattr(step, "train")]
    if recipe.teacher is None:  # it is fine-tuned: dev flatters the teacher, which is no promise
        trainings = [step for step in trainings if not step.makes_teacher]
    if not any(getattr(step, "load_best_at_end", True) for step in trainings):
        return ""
    return (
        "Dev also chose among the evaluations of a training, so that its bound is somewhat too "
        "high; with load_best_at_end = false in the steps it would not."
    )


def _make_servable(contest: Contest, done: Workspace) -> None:
    """Describe the last model, so that the folder that is named as the result opens."""
    assert done.saved is not None
    contest.tokenizer = done.tokenizer
    graph = graph_file(done.saved, "openvino", "int8").is_file()
    served: tuple[str, Precision] = ("openvino", "int8") if graph else ("pytorch", "fp32")
    contest.describe(done.saved, *served)
    if contest.dataset.task.about.tunes_thresholds:
        judged = contest.judge(open_system(done.saved), "dev")
        contest.describe(done.saved, *served, contest.thresholds(judged))


def _check_vocabulary(contest: Contest, done: Workspace) -> None:
    """Refuse to compare perplexities of two vocabularies."""
    ours, theirs = done.tokenizer.get_vocab(), contest.tokenizer.get_vocab()
    if contest.dataset.task.about.predicts_next and ours != theirs:
        raise ValueError(
            f"teacher: its vocabulary is not that of the student in {done.saved}, and "
            f"{_INCOMPARABLE}; name a teacher of one vocabulary, or set measure = false"
        )


def _check_measurable(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse before any work what could not be measured after it."""
    about = dataset.task.about
    if about.exported:
        served_kind(dataset.task.kind)
    check_gold(dataset)
    if about.exported and not isinstance(recipe.steps[-1], Int8):
        raise ValueError(
            "steps: the last one must be int8 for the result to be measured, or set measure = false"
        )
    teaches = [place for place, step in enumerate(recipe.steps) if step.makes_teacher]
    made = 0 if recipe.teacher or not teaches else teaches[-1]
    if about.predicts_next and any(isinstance(s, CutVocabulary) for s in recipe.steps[made:]):
        raise ValueError(
            f"steps: cut-vocabulary makes the student predict other tokens than its teacher, and "
            f"{_INCOMPARABLE}; put it before pretrain, or set measure = false"
        )
    tuned = bool(teaches)
    own = own_head(recipe)
    if not (recipe.teacher or tuned or (own and has_head(own, about.head))):
        raise ValueError("teacher: there is none to compare with; name one, or set measure = false")
