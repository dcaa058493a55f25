from typing import get_args

import pytest

from leanformer.data.task import Kind as TaskKind
from leanformer.runtime.session import KINDS, served_kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_a_task_is_served(kind: str) -> None:
    assert served_kind(kind) == kind


def test_kinds_are_those_of_the_data_but_for_what_is_only_trained() -> None:
    assert {*get_args(TaskKind)} - {*KINDS} == {"masked-lm"}


def test_what_is_only_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="kind 'masked-lm' is trained and not served; fine-tune"):
        served_kind("masked-lm")
