"""The models of a search, opened before any work, so that what is wrong with them is said first.

    no --student        students are cut from the teacher, and taught by its hidden states too
    --student ENCODER   students are cut from that encoder and read with its tokenizer

With --student the teacher may be of any architecture: it teaches by its answers alone.
"""

from dataclasses import dataclass
from typing import Any

from leanformer.data import Dataset
from leanformer.distill.description import follow_description
from leanformer.distill.objective import dims_of
from leanformer.distill.teachers.reading import check_answers_suffice, have_one_vocabulary
from leanformer.models.anatomy import anatomy_of
from leanformer.models.digest import model_identity
from leanformer.models.embedding import embedding_of
from leanformer.recipe import open_model
from leanformer.search.request import Request


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The model of a search and what is known of its students before any work.

    Attributes:
        model: The model that is the teacher, or becomes it.
        tokenizer: Its tokenizer.
        layers: Layers of the encoder that students are cut from.
        content: What tells the models from others (`model_identity`), as JSON values.
    """

    model: Any
    tokenizer: Any
    layers: int
    content: dict[str, Any]


def open_checked(request: Request, dataset: Dataset) -> Opened:
    """Open the model, and the encoder of its students where that is another one.

    Raises:
        OSError: There is no such model.
        ValueError: A model cannot be loaded, students cannot be cut from it, or the teacher cannot
            teach students of that encoder.
    """
    model, tokenizer = open_model(
        request.model, dataset, request.seed, fresh_head=request.fresh_head
    )
    content: dict[str, Any] = {"model": model_identity(model, tokenizer), "student": None}
    if request.student is None:
        layers = _layers(model, request.model)
    else:
        layers, content["student"] = _open_student(request, dataset, model, tokenizer)
    return Opened(model=model, tokenizer=tokenizer, layers=layers, content=content)


def new_head(request: Request, dataset: Dataset) -> bool:
    """Whether students begin with a new head: those of another encoder, where there is one."""
    return request.student is not None and dataset.task.about.form is not None


def _layers(model: Any, place: str) -> int:
    try:
        return len(anatomy_of(model).layers(model))
    except ValueError as error:
        raise ValueError(
            f"{place}: no students can be cut from it: {error}. It can teach students of another "
            "encoder: name one with --student (compress), or as model with this one as teacher (a "
            "recipe)"
        ) from error


def _open_student(
    request: Request, dataset: Dataset, teacher: Any, theirs: Any
) -> tuple[int, dict[str, str]]:
    """Layers and identity of the encoder that students are cut from, if `teacher` can teach it."""
    assert request.student is not None
    kind = dataset.task.kind
    model, tokenizer = open_model(
        request.student, dataset, request.seed, fresh_head=new_head(request, dataset)
    )
    layers, content = _layers(model, request.student), model_identity(model, tokenizer)
    same_ids = have_one_vocabulary(tokenizer, [theirs])
    vectors = dataset.task.about.output == "vector"
    normalized = embedding_of(teacher).pooling.normalize
    objectives = request.objectives(kind, normalized=normalized)
    if not same_ids:
        check_answers_suffice(objectives, kind, 0.0, tokenizer, [theirs])
    if vectors:
        ours, asked = dims_of(model).hidden, dims_of(teacher).hidden
        if ours != asked:
            raise ValueError(
                f"student: the vectors of {request.student} are {ours} wide and the teacher's "
                f"{asked}, by which they are judged; name an encoder of the teacher's width"
            )
        follow_description(model, tokenizer, teacher, theirs, objectives, same_ids=same_ids)
    return layers, content
