from pathlib import Path
from typing import Any

import pytest
import torch
from distill.students.given import (
    ENDING,
    hidden_states,
    inputs,
    reaches_every_parameter,
    same_after_saving,
    teacher,
    workspace,
)

from leanformer.core.proof import NoEffect
from leanformer.distill.students.tinybert import Tinybert, chosen_layers, tinybert_from
from leanformer.distill.students.widths import Widths
from leanformer.models.anatomy.shape import shape_of
from leanformer.models.tiny import tiny_model

SMALL = Widths(16, 2, 24)
SAME = Widths(32, 4, 48)
INITS = ("random", "slice", "svd")


def tinybert(head: str, init: Any, layers: Any = (0, 2), widths: Widths = SMALL) -> Any:
    taken = len(layers) if init == "random" else list(layers)
    return tinybert_from(teacher(head), taken, widths, init=init)


@pytest.mark.parametrize("head", ENDING)
@pytest.mark.parametrize("init", ["slice", "svd"])
def test_with_the_teachers_widths_its_layers_are_copied(head: str, init: Any) -> None:
    bert = teacher(head)
    whole = tinybert_from(bert, [0, 1, 2], SAME, init=init)
    for ours, theirs in zip(hidden_states(whole), hidden_states(bert), strict=True):
        assert torch.equal(ours, theirs)
    with torch.no_grad():
        assert torch.equal(whole(**inputs())[0], bert(**inputs())[0])
    cut = tinybert_from(bert, [0, 2], SAME, init=init)
    for number, layer in enumerate([0, 2]):
        ours = cut.base_model.encoder.layer[number].state_dict()
        theirs = bert.base_model.encoder.layer[layer].state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("head", ENDING)
@pytest.mark.parametrize("init", INITS)
def test_it_has_the_asked_shape_and_head_and_learns(head: str, init: Any) -> None:
    student = tinybert(head, init)
    assert type(student).__name__ == f"Bert{ENDING[head]}"
    shape = shape_of(student)
    assert (shape.heads, shape.ffn, shape.hidden) == ((2, 2), (24, 24), 16)
    unread = ("pooler",) if head == "embedding" else ()  # last hidden states do not pass it
    # a bias of keys adds the same to all scores of a query: the softmax does not see it
    reaches_every_parameter(student, but=(*unread, "key.bias"))


@pytest.mark.parametrize("head", ENDING)
def test_it_is_saved_and_loaded(head: str, tmp_path: Path) -> None:
    same_after_saving(tinybert(head, "svd"), tmp_path / "student")


def test_a_masked_lm_keeps_words_and_head_one_tensor() -> None:
    student = tinybert("masked", "slice")
    assert student.cls.predictions.decoder.weight is student.bert.embeddings.word_embeddings.weight


def test_random_is_the_seeds() -> None:
    def words(seed: int) -> Any:
        student = tinybert_from(teacher(), 2, SMALL, init="random", seed=seed)
        return student.bert.embeddings.word_embeddings.weight

    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert torch.equal(words(0), words(0))
    assert not torch.equal(words(0), words(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_layers_are_numbered_anew() -> None:
    state = {"encoder.layer.1.x": torch.ones(1), "encoder.layer.11.x": torch.zeros(1), "w": torch.ones(1)}  # fmt: skip
    found = chosen_layers(state, [11])
    assert found.keys() == {"encoder.layer.0.x", "w"}
    assert found["encoder.layer.0.x"] == 0


def test_the_teacher_is_left_as_it_is() -> None:
    bert = teacher()
    kept = {key: value.clone() for key, value in bert.state_dict().items()}
    student = tinybert_from(bert, [0, 1], SAME, init="slice")
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert bert.config.num_hidden_layers == 3
    assert all(torch.equal(value, kept[key]) for key, value in bert.state_dict().items())


@pytest.mark.parametrize(
    ("step", "note"),
    [
        (Tinybert(layers=2, hidden=16, ffn=24, heads=2), "layers 0, 2 of the teacher, slice"),
        (Tinybert(layers=2, hidden=None, ffn=None, heads=None, pick="bottom"), "layers 0, 1 of the teacher, slice"),
        (Tinybert(layers=(1,), hidden=16, ffn=24, heads=4, init="svd"), "layers 1 of the teacher, svd"),
        (Tinybert(layers=4, hidden=8, ffn=24, heads=2, init="random"), "random weights"),
    ],
)  # fmt: skip
def test_the_step_gives_a_smaller_student(step: Tinybert, note: str, tmp_path: Path) -> None:
    given = workspace(tmp_path)
    done = step.apply(given)
    assert done.teacher is given.model
    assert done.tokenizer is given.tokenizer
    assert done.proofs[0].note == note
    assert done.proofs[0].after == shape_of(done.model).layers
    assert all(proof.ok for proof in done.proofs)
    with torch.no_grad():
        assert done.model(**inputs()).logits.isfinite().all()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Tinybert(), "hidden: 312 is wider than the teacher's 32 .* or begin at random"),
        (Tinybert(hidden=18, heads=4, ffn=24), "hidden: 18 is not a multiple of the 4 heads"),
        (Tinybert(hidden=18, heads=4, init="random"), "hidden: 18 is not a multiple of the 4 heads"),
        (Tinybert(hidden=16, heads=4, ffn=64), "ffn: 64 is wider than the teacher's 48"),
        (Tinybert(layers=4, hidden=16, heads=4, ffn=24), "layers: 4 cannot be taken from a teacher of 3"),
        (Tinybert(layers=(0, 7), hidden=16, heads=4, ffn=24), "layers: layer 7 is out of range"),
    ],
)  # fmt: skip
def test_a_refusal_changes_nothing(step: Tinybert, message: str, tmp_path: Path) -> None:
    given = workspace(tmp_path)
    before = shape_of(given.model)
    with pytest.raises(ValueError, match=message):
        step.apply(given)
    assert shape_of(given.model) == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden": 0}, "hidden: 0 is not at least 1"),
        ({"heads": -1}, "heads: -1 is not at least 1"),
        ({"layers": 0}, "layers: 0 is not at least 1"),
        ({"layers": (0, 1), "init": "random"}, "layers: a random student takes no layers of the teacher"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tinybert(**fields)


def test_other_architectures_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tinybert: .* of architecture 'modernbert'"):
        Tinybert().apply(workspace(tmp_path, family="modernbert"))
    with pytest.raises(ValueError, match=r"tinybert: .* of architecture 'roberta'"):
        tinybert_from(tiny_model("roberta")[0], [0], SMALL)


def test_a_student_that_is_not_smaller_fails_loudly(tmp_path: Path) -> None:
    with pytest.raises(NoEffect, match="parameters of the layers: was"):
        Tinybert(layers=3, hidden=None, ffn=None, heads=None).apply(workspace(tmp_path))
