"""The metrics of a task, by name: which there are, and the one that was asked for."""

from leanformer.core.shown import shown
from leanformer.core.technique import nearest
from leanformer.numerics.metrics import Metric
from leanformer.tasks.interface import TaskKind

F1_OF = "f1:"
_LISTED = 20  # labels that an error names


def check_metric(name: str, kind: TaskKind, labels: tuple[str, ...]) -> None:
    """Refuse a metric that a task of this kind and with these labels does not have.

    Raises:
        ValueError: There is no such metric, or `name` is the F1 of a label that is not there.
    """
    if name in kind.metrics:
        return
    if kind.label_metrics and name.startswith(F1_OF):
        label = name.removeprefix(F1_OF)
        if label not in labels:
            raise ValueError(
                f"metric: {name}: there is no label {shown(label)}{nearest(label, list(labels))}; "
                f"there are: {_listed(labels)}"
            )
        return
    names = list(kind.metrics)
    if kind.label_metrics:
        names.append(f"f1:LABEL (labels: {_listed(labels)})")
    raise ValueError(
        f"metric: {shown(name)} is not a metric of "
        f"{kind.technique}{nearest(name, list(kind.metrics))}; "
        f"there are: {', '.join(names)}"
    )


def metric_named(name: str, kind: TaskKind, labels: tuple[str, ...]) -> Metric:
    """The metric of this name, to be computed from answers.

    Raises:
        ValueError: The task has no such metric.
    """
    check_metric(name, kind, labels)
    return kind.metric(name, labels)


def _listed(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:_LISTED])
    more = len(labels) - _LISTED
    return f"{shown}, and {more} more" if more > 0 else shown
