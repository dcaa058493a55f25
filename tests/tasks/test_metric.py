import pytest

from leanformer.numerics.metrics import F1, MacroF1, Matthews
from leanformer.tasks import check_metric, kind_named, kind_names, metric_named

CLASSES = kind_named("classification")
LABELS = ("fraud", "normal", "other")


@pytest.mark.parametrize("kind", [kind for kind in kind_names() if kind != "masked-lm"])
def test_a_metric_is_called_what_it_is_asked_for_by(kind: str) -> None:
    about = kind_named(kind)
    for name in about.metrics:
        assert metric_named(name, about, LABELS).name == name


def test_metrics_of_classes_know_the_classes() -> None:
    assert metric_named("f1:normal", CLASSES, LABELS) == F1(1, "f1:normal")
    assert metric_named("macro-f1", CLASSES, LABELS) == MacroF1(3)
    assert metric_named("mcc", CLASSES, LABELS) == Matthews(3)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        (
            "f1:frod",
            "classification",
            r"f1:frod: there is no label 'frod' \(did you mean 'fraud'\?\); there are: fraud, normal",
        ),
        (
            "macro_f1",
            "classification",
            r"'macro_f1' is not a metric of classification \(did you mean 'macro-f1'\?\); there are: "
            r"accuracy, macro-f1, mcc, f1:LABEL \(labels: fraud, normal, other\)",
        ),
        ("accuracy", "regression", r"not a metric of regression; there are: spearman, pearson$"),
        ("f1:fraud", "tokens", r"not a metric of tokens.*; there are: span_f1$"),
        ("", "embedding", r"'' is not a metric of embedding; there are: cosine$"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(name: str, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_metric(name, kind_named(kind), LABELS)
    with pytest.raises(ValueError, match=message):
        metric_named(name, kind_named(kind), LABELS)


def test_a_refusal_lists_no_more_than_twenty_labels() -> None:
    with pytest.raises(ValueError, match=r"19, and 30 more$"):
        check_metric("f1:x", CLASSES, tuple(str(number) for number in range(50)))
