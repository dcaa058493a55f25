import subprocess
import sys
from typing import get_args

import pytest

from leanformer.models.io.load import Head
from leanformer.tasks import kind_named, kind_names, served_kind
from leanformer.tasks.interface import TaskKind


def test_the_room_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, leanformer.tasks\n"
        "assert 'masked-lm' in leanformer.tasks.kind_names()\n"
        "sys.exit(bool({'torch', 'transformers', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", kind_names())
def test_each_task_says_what_a_model_and_its_data_need(name: str) -> None:
    kind = kind_named(name)
    assert isinstance(kind, TaskKind)
    assert kind.technique == name
    assert kind.head in get_args(Head)
    assert kind.metrics
    assert (kind.form is None) == bool(kind.no_labels)
    assert kind.output in ("classes", "decisions", "numbers", "vector")


@pytest.mark.parametrize("name", kind_names(served=True))
def test_what_is_served_as_a_graph_is_named(name: str) -> None:
    if kind_named(name).exported:
        assert served_kind(name) == name
    else:
        with pytest.raises(ValueError, match=f"kind '{name}' has no graph that could be exported"):
            served_kind(name)


def test_a_quality_is_shown_as_it_is_unless_the_task_has_a_better_word() -> None:
    assert kind_named("classification").shown("accuracy", 0.5) == ("accuracy", 0.5)
    assert kind_named("causal-lm").shown("token_probability", 0.5) == ("perplexity", 2.0)


def test_a_batch_has_something_to_be_right_about_or_not() -> None:
    without = {name for name in kind_names() if not kind_named(name).has_targets}
    assert without == {"embedding", "masked-lm"}


def test_what_is_only_trained_is_refused() -> None:
    assert {*kind_names()} - {*kind_names(served=True)} == {"masked-lm"}
    with pytest.raises(ValueError, match="kind 'masked-lm' is trained and not served; fine-tune"):
        served_kind("masked-lm")


def test_a_task_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"kind: 'regresion' is not one of causal-lm, classif.*did you"
    ):
        kind_named("regresion")
