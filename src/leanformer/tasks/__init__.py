"""What a model is asked: columns, labels, metrics and answers of each task; needs no torch.

    classification   one label per text (or pair)       quality: accuracy, or chosen
    multi-label      any number of labels per text      quality: micro F1, or macro F1
    regression       one number per text (or pair)      quality: rank correlation, or chosen
    ranking          a score per query and text         quality: nDCG@10, or MRR@10
    tokens           one label per word (NER)           quality: F1 of whole spans
    embedding        no labels: keep the geometry       quality: mean cosine to the teacher
    masked-lm        no labels: fill in hidden words    quality: accuracy at the hidden tokens
    causal-lm        no labels: predict the next token  quality: 1 / perplexity

A task is two files: `tasks/NAME.py`, which a server reads too, and `train/tasks/NAME.py` with what
training adds.
"""

from typing import Any

from leanformer.core.technique import families, nearest
from leanformer.tasks.causal_lm import CausalLm
from leanformer.tasks.classification import Classification
from leanformer.tasks.embedding import Embedding
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.tasks.labels import IGNORE, LabelForm
from leanformer.tasks.masked_lm import MaskedLm
from leanformer.tasks.metric import check_metric, metric_named
from leanformer.tasks.multi_label import MultiLabel
from leanformer.tasks.ranking import Ranking
from leanformer.tasks.regression import Regression
from leanformer.tasks.tokens import TokenClassification

__all__ = [
    "IGNORE",
    "Asked",
    "CausalLm",
    "Classification",
    "Embedding",
    "LabelForm",
    "MaskedLm",
    "MultiLabel",
    "Outputs",
    "Ranking",
    "Regression",
    "TaskKind",
    "TokenClassification",
    "check_metric",
    "kind_named",
    "kind_names",
    "metric_named",
    "served_kind",
]


def kind_names(*, served: bool = False) -> tuple[str, ...]:
    """The names of all tasks, or of those that can be served."""
    known = families()[TaskKind.family]
    return tuple(name for name, kind in known.items() if not served or kind.served)  # type: ignore[attr-defined]


def kind_named(name: str) -> TaskKind:
    """The task of this name.

    Raises:
        ValueError: There is none.
    """
    known: dict[str, Any] = families()[TaskKind.family]
    if name not in known:
        raise ValueError(
            f"kind: {name!r} is not one of {', '.join(known)}{nearest(str(name), list(known))}"
        )
    kind: TaskKind = known[name]()
    return kind


def served_kind(name: str) -> str:
    """`name`, where a graph of a model of this task can be exported and served.

    Raises:
        ValueError: There is no such task, it is a training on the way to one, or PyTorch alone
            answers.
    """
    about = kind_named(name)
    if not about.exported:
        raise ValueError(
            f"kind {name!r} has no graph that could be exported or run in int8: PyTorch answers; "
            "write a recipe without the step int8 (`leanformer run` measures it in PyTorch)"
        )
    if not about.served:
        others = [one for one in kind_names(served=True) if kind_named(one).exported]
        raise ValueError(
            f"kind {name!r} is trained and not served; fine-tune the model for one of "
            f"{', '.join(others)} first (for a recipe that ends before that: "
            "measure = false)"
        )
    return name
