"""The metrics of each kind of task, by name.

classification   accuracy (default), macro-f1, mcc, f1:LABEL
regression       spearman (default), pearson
tokens           span_f1
embedding        cosine
masked-lm        masked_accuracy
"""

from leanformer.core.technique import nearest
from leanformer.numerics.metrics import (
    F1,
    Accuracy,
    Cosine,
    MacroF1,
    Matthews,
    Metric,
    Pearson,
    SpanF1,
    Spearman,
)

METRICS: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy", "macro-f1", "mcc"),
    "regression": ("spearman", "pearson"),
    "tokens": ("span_f1",),
    "embedding": ("cosine",),
    "masked-lm": ("masked_accuracy",),
}
"""Kind of task -> names of its metrics, the default first; classification has f1:LABEL too."""

_F1 = "f1:"
_LISTED = 20  # labels that an error names


def check_metric(name: str, kind: str, labels: tuple[str, ...]) -> None:
    """Refuse a metric that a task of this kind and with these labels does not have.

    Raises:
        ValueError: There is no such metric, or `name` is the F1 of a label that is not there.
    """
    if name in METRICS[kind]:
        return
    if kind == "classification" and name.startswith(_F1):
        label = name.removeprefix(_F1)
        if label not in labels:
            raise ValueError(
                f"metric: {name}: there is no label {label!r}{nearest(label, list(labels))}; "
                f"there are: {_listed(labels)}"
            )
        return
    names = list(METRICS[kind])
    if kind == "classification":
        names.append(f"f1:LABEL (labels: {_listed(labels)})")
    raise ValueError(
        f"metric: {name!r} is not a metric of {kind}{nearest(name, list(METRICS[kind]))}; "
        f"there are: {', '.join(names)}"
    )


def metric_named(name: str, kind: str, labels: tuple[str, ...]) -> Metric:
    """The metric of this name, to be computed from answers.

    A masked language model is judged while it runs (`train.evaluate.masked_accuracy`): its answers
    would not fit into memory.

    Raises:
        ValueError: The task has no such metric.
    """
    check_metric(name, kind, labels)
    assert kind != "masked-lm", "masked_accuracy is not computed from answers"
    if name.startswith(_F1):
        return F1(labels.index(name.removeprefix(_F1)), name)
    made: dict[str, Metric] = {
        "accuracy": Accuracy(),
        "macro-f1": MacroF1(len(labels)),
        "mcc": Matthews(len(labels)),
        "spearman": Spearman(),
        "pearson": Pearson(),
        "span_f1": SpanF1(),
        "cosine": Cosine(),
    }
    return made[name]


def _listed(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:_LISTED])
    more = len(labels) - _LISTED
    return f"{shown}, and {more} more" if more > 0 else shown
