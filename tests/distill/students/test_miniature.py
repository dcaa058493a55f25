from pathlib import Path
from typing import Any

import pytest
import torch
from distill.students.given import inputs, reaches_every_parameter, same_after_saving, teacher
from distill.students.given import workspace as given_workspace

from leanformer.core.proof import NoEffect
from leanformer.core.workspace import Workspace
from leanformer.distill.students.miniature import SIZES, Miniature, miniature_widths
from leanformer.models.anatomy.shape import shape_of


def workspace(folder: Path) -> Workspace:
    """A teacher just larger than the smallest miniature: 3 layers of width 192."""
    bert = teacher(hidden_size=192, num_attention_heads=3, intermediate_size=576)
    return given_workspace(folder, model=bert)


@pytest.mark.parametrize("init", ["random", "slice", "svd"])
def test_tiny_is_two_layers_of_width_128(init: Any, tmp_path: Path) -> None:
    given = workspace(tmp_path)
    done = Miniature(size="tiny", init=init).apply(given)
    shape = shape_of(done.model)
    assert (shape.layers, shape.hidden, shape.heads, shape.ffn) == (2, 128, (2, 2), (512, 512))
    assert done.teacher is given.model
    assert done.tokenizer is given.tokenizer
    with torch.no_grad():
        assert done.model(**inputs()).logits.isfinite().all()


def test_slices_are_the_teachers(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    done = Miniature(size="tiny").apply(given)
    words = given.model.bert.embeddings.word_embeddings.weight
    columns = [channel * 192 // 128 for channel in range(128)]
    assert torch.equal(done.model.bert.embeddings.word_embeddings.weight, words[:, columns])


def test_it_learns_and_is_saved(tmp_path: Path) -> None:
    student = Miniature(size="tiny").apply(workspace(tmp_path)).model
    same_after_saving(student, tmp_path / "student")
    reaches_every_parameter(student, but=("key.bias",))


def test_names_are_places_of_the_grid() -> None:
    assert SIZES["base"] == (12, 768)
    assert miniature_widths(768).heads == 12
    assert miniature_widths(256).ffn == 1024


def test_the_published_count_of_tiny() -> None:
    """4.4 M parameters, as its authors count them, with BERT's vocabulary."""
    from transformers import BertConfig, BertModel

    widths = miniature_widths(128)
    config = BertConfig(
        hidden_size=widths.hidden, num_hidden_layers=2, num_attention_heads=widths.heads,
        intermediate_size=widths.ffn,
    )  # fmt: skip
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in BertModel(config).parameters())
    assert round(count / 1e6, 1) == 4.4


def test_depth_or_width_can_be_given_besides(tmp_path: Path) -> None:
    done = Miniature(size="mini", layers=2, hidden=128).apply(workspace(tmp_path))
    assert done.model.config.num_hidden_layers == 2
    assert done.model.config.hidden_size == 128


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": "large"}, "size: 'large' is not one of tiny, mini, small, medium, base"),
        ({"layers": 3}, "layers: 3 is not one of 2, 4, 6, 8, 10, 12, the miniatures'; `tinybert` takes any"),
        ({"hidden": 384}, "hidden: 384 is not one of 128, 256, 512, 768"),
    ],
)  # fmt: skip
def test_sizes_off_the_grid_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Miniature(**fields)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Miniature(hidden=128), "layers: 4 cannot be taken from a teacher of 3"),
        (Miniature(layers=2), "hidden: 256 is wider than the teacher's 192"),
    ],
)
def test_what_the_teacher_has_not_is_refused(step: Miniature, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        step.apply(workspace(tmp_path))


def test_other_architectures_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"miniature: .* of architecture 'gpt2'"):
        Miniature().apply(given_workspace(tmp_path, family="gpt2"))


def test_a_larger_miniature_fails_loudly(tmp_path: Path) -> None:
    with pytest.raises(NoEffect, match="parameters of the layers: was"):
        Miniature(size="mini", init="random").apply(given_workspace(tmp_path))
