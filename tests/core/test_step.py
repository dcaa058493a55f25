"""Each family lists its steps: one file, one test, one line."""

import subprocess
import sys
from types import ModuleType

import pytest

from leanformer import prune
from leanformer.core.step import steps_of
from leanformer.prune.shrink import Shrink


def test_a_line_of_the_list_is_a_file_and_a_class():
    assert Shrink in steps_of(prune)


def test_a_line_that_leads_nowhere_is_an_error():
    family = ModuleType("leanformer.prune")
    family.STEPS = ("shrink.Grow",)
    with pytest.raises(AttributeError, match="Grow"):
        steps_of(family)


@pytest.mark.parametrize("family", ["prune", "distill", "quantize"])
def test_a_family_is_imported_without_what_its_steps_need(family):
    code = f"import sys, leanformer.{family}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_trainings_of_labels_of_plain_text_and_of_vectors_make_the_teacher():
    from leanformer.recipe import STEPS

    making = {step.technique for step in STEPS if step.makes_teacher}
    assert making == {"finetune", "pretrain", "train-bi-encoder"}
