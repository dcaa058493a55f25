import math

import pytest

from leanformer.data.task import Examples, Task, joined
from leanformer.tasks import IGNORE, kind_named, kind_names

PLAIN = Examples(texts=["a", "b", "c"], labels=[0, 1, 0])


def test_each_kind_has_a_metric_and_a_width() -> None:
    for kind in kind_names():
        assert Task(kind=kind).metric == kind_named(kind).metrics[0]
    assert Task(kind="classification", labels=("x", "y", "z")).outputs == 3
    assert Task(kind="regression").outputs == 1


def test_a_task_is_judged_by_what_is_chosen() -> None:
    task = Task(kind="classification", labels=("x", "y"), metric="f1:y")
    assert task.metric == task.scorer().name == "f1:y"
    assert task.scorer().score([1, 1, 0], [1, 0, 0]) == pytest.approx(2 / 3)
    assert task == Task(kind="classification", labels=("x", "y"), metric="f1:y")
    assert task != Task(kind="classification", labels=("x", "y"))
    with pytest.raises(ValueError, match="'pearson' is not a metric of classification"):
        Task(kind="classification", labels=("x", "y"), metric="pearson")


def test_examples_are_taken_in_the_asked_order() -> None:
    whole = Examples(texts=["a", "b"], pairs=["c", "d"], words=[["a"], ["b"]], labels=[[1], [2]])
    assert whole.take([1, 0, 1]) == Examples(
        texts=["b", "a", "b"], pairs=["d", "c", "d"], words=[["b"], ["a"], ["b"]],
        labels=[[2], [1], [2]],
    )  # fmt: skip
    assert len(whole.without_labels()) == 2
    assert whole.without_labels().labels is None


def test_unlabelled_examples_join_with_marks_instead_of_labels() -> None:
    assert joined(PLAIN, None, "classification") is PLAIN
    both = joined(PLAIN, Examples(texts=["d"]), "classification")
    assert (both.texts, both.labels) == (["a", "b", "c", "d"], [0, 1, 0, IGNORE])
    scores = joined(Examples(texts=["a"], labels=[0.5]), Examples(texts=["d"]), "regression").labels
    assert scores is not None
    assert scores[0] == 0.5
    assert math.isnan(scores[1])  # type: ignore[arg-type]
    words = Examples(texts=["a b"], words=[["a", "b"]], labels=[[0, 1]])
    more = Examples(texts=["c d e"], words=[["c", "d", "e"]])
    assert joined(words, more, "tokens").labels == [[0, 1], [IGNORE] * 3]
    bare = joined(Examples(texts=["a"]), Examples(texts=["d"]), "embedding")
    assert (bare.texts, bare.labels) == (["a", "d"], None)


@pytest.mark.parametrize("paired", [0, 1])
def test_pairs_and_single_texts_do_not_join(paired: int) -> None:
    sets = [Examples(texts=["a"], labels=[0]), Examples(texts=["a"], labels=[0], pairs=["b"])]
    with pytest.raises(ValueError, match="unlabelled: pairs of texts are needed where"):
        joined(sets[paired], sets[1 - paired], "classification")
