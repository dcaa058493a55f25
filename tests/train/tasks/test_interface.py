import pytest

from leanformer.tasks import kind_named, kind_names
from leanformer.train.tasks import loss_of


def test_each_task_has_two_halves_under_one_name() -> None:
    for name in kind_names():
        kind = kind_named(name)
        if kind.form is not None or kind.hides_words:
            assert loss_of(name).technique == name


def test_a_task_without_labels_has_no_loss() -> None:
    with pytest.raises(ValueError, match="'embedding' is no task-loss technique"):
        loss_of("embedding")
