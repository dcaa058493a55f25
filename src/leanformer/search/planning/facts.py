"""The facts of a plan in words: data, task, model, what is trained and for how long."""

from typing import Any

from leanformer.core.machine.device import find_device
from leanformer.core.machine.threads import cores
from leanformer.data import Dataset
from leanformer.data.reading.guesses import why_told
from leanformer.models.anatomy.shape import shape_of
from leanformer.recipe import Recipe, knows_task
from leanformer.report.units import amount, share
from leanformer.search.request import BEST, Request, copies_of, examples_of
from leanformer.search.students.ladder import first_place, ladder

Fact = tuple[str, tuple[str, ...]]
"""What a fact is about, and what is said of it, a line each."""


def facts_of_data(dataset: Dataset) -> tuple[Fact, ...]:
    """Where the data are from, what is read of them, and what is asked."""
    return (*_data_facts(dataset), *_task_facts(dataset))


def fact_of_model(request: Request, dataset: Dataset, model: Any) -> Fact:
    """The model: how large it is, and what becomes of its head."""
    shape = shape_of(model)
    head = dataset.task.about.head
    size = f"{counted(shape.layers, 'layer')}, {amount(shape.parameters, 'parameters')}"
    if head == "embedding":
        kept = "no head is needed"
    elif knows_task(request.model, dataset, fresh_head=request.fresh_head):
        kept = "its head is kept"
    else:
        kept = "its head is new"
    return "Model", (request.model, f"{size}; {kept}")


def work_of_search(request: Request, dataset: Dataset, layers: int) -> tuple[Fact, ...]:
    """What will be trained, and how long that may take."""
    rungs = ladder(layers, whole=request.student is not None, portable=request.portable)
    kept = knows_task(request.model, dataset, fresh_head=request.fresh_head)
    examples = examples_of(request, dataset)
    teacher = (
        "as it is"
        if kept
        else "fine-tuned first: "
        + training_words(request.teacher_setup(len(dataset.train)), len(dataset.train))
    )
    copies = copies_of(request, dataset)
    first = rungs[first_place(rungs, layers, request.keep)]
    origin = f"cut from {request.student}" if request.student else "cut from the teacher"
    students = training_words(request.student_setup(examples), examples)
    return (
        ("Teacher", (teacher,)),
        (
            "Students",
            (
                f"up to {len(rungs)}, {origin}: {', '.join(rung.name for rung in rungs)}",
                f"begun with {first.name}; their order by time is measured on this machine",
                f"each up to {students}",
                *((f"with altered copies of each text too: {copies}",) if copies else ()),
                *(("only what transformers loads without leanformer",) if request.portable else ()),
            ),
        ),
        (
            "Promise",
            (
                f"at least {share(request.keep)} of the teacher's {dataset.task.metric} is kept",
                f"of all that keep it, {BEST[request.goal]} is chosen",
            ),
        ),
        (
            "Time",
            (
                f"{request.minutes:g} minutes in all: a training that would end later is "
                "shortened or left out",
            ),
        ),
    )


def work_of_recipe(recipe: Recipe, dataset: Dataset) -> tuple[Fact, ...]:
    """The steps in order, and the teacher.

    Raises:
        OSError: There is no such teacher.
    """
    if recipe.teacher is not None:
        knows_task(recipe.teacher, dataset)  # it can be read
    teaches = any(step.makes_teacher for step in recipe.steps)
    own = knows_task(recipe.model, dataset, fresh_head=recipe.fresh_head)
    made = "the model as it is after fine-tuning" if teaches else "the model as it is"
    teacher = recipe.teacher or (made if teaches or own else "none")
    kept = f"at least {share(recipe.keep)} of the teacher's {dataset.task.metric} is asked for"
    return (
        ("Teacher", (teacher,)),
        ("Steps", tuple(f"{place}. {_step(step)}" for place, step in enumerate(recipe.steps, 1))),
        ("Promise", (kept if recipe.measure else "nothing is measured (measure = false)",)),
    )


def fact_of_device(device: str, threads: int) -> Fact:
    """Where models are trained, and with how many threads.

    Args:
        device: Its name, or "auto".
        threads: As asked for; 0 = all cores.
    """
    return "Device", (f"{find_device(device)}, {counted(threads or cores(), 'thread')}",)


def training_words(setup: Any, examples: int | None = None) -> str:
    """How long a training is: "4 epochs of 1,222 texts in batches of 32, 156 steps".

    Args:
        setup: Its `TrainSetup`.
        examples: Texts that it learns from, where that is known.
    """
    if setup.steps is not None:
        return f"{counted(setup.steps, 'step')} in batches of {setup.batch_size}"
    if setup.tokens is not None:
        return f"{counted(setup.tokens, 'token')} in batches of {setup.batch_size}"
    epochs = f"{setup.epochs:g} epoch{'' if setup.epochs == 1 else 's'}"
    if examples is None:
        return f"{epochs} in batches of {setup.batch_size}"
    steps = max(1, round(setup.epochs * -(-examples // setup.batch_size)))
    of = f"of {counted(examples, 'text')} in batches of {setup.batch_size}"
    return f"{epochs} {of}, {counted(steps, 'step')}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 text", "1,222 texts"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _step(step: Any) -> str:
    setup = getattr(step, "train", None)
    return step.technique + (f": {training_words(setup)}" if setup is not None else "")


def _data_facts(dataset: Dataset) -> list[Fact]:
    """Where the data are from, and what was made of them."""
    origin = dataset.origin
    if origin is None:
        return [("Data", (dataset.name,))]
    files = ", ".join(dict.fromkeys(origin.files.values())) or "from the Hugging Face hub"
    lines = [f"{origin.path} ({files})" if files != origin.path else files]
    if origin.split_off:
        about = dataset.task.about
        by = "query" if about.grouped else "text and pair" if dataset.train.pairs else "text"
        names = " and ".join(origin.split_off)
        each = " each" if len(origin.split_off) > 1 else ""
        lines.append(f"{names}: 10 % of the rows{each}, split off train by a hash of the {by}")
    if origin.left_out:
        lines.append(f"{counted(origin.left_out, 'training row')} left out (limit)")
    facts: list[Fact] = [("Data", tuple(lines))]
    if origin.columns:
        read = ", ".join(f"{column} as {role}" for role, column in origin.columns.items())
        facts.append(("Read", (read,)))
    if dataset.task.about.grouped and "query's id" not in origin.columns:
        facts.append(("Queries", ("rows with the same text of the query belong together",)))
    facts.append(("Not read", (", ".join(origin.unread) or "no other column",)))
    return facts


def _task_facts(dataset: Dataset) -> list[Fact]:
    """What is asked of the data, and who says so."""
    task, origin = dataset.task, dataset.origin
    said = task.kind
    if origin is not None:
        told = f"told from the data: {why_told(task.kind, task.labels)}"
        why = "asked for" if origin.kind_asked else told
        said = f"{said}, {why}"
    facts: list[Fact] = [("Task", (said, f"judged by {task.metric}"))]
    if task.labels:
        noun = "tags" if dataset.train.words is not None else "labels"
        facts.append(("Labels", (f"{len(task.labels):,} {noun}",)))
    return facts
