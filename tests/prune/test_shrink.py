from pathlib import Path
from typing import Any

import pytest
import torch
from train.toy import examples

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Task
from leanformer.models.anatomy.shape import shape_of
from leanformer.models.tiny import tiny_model
from leanformer.prune.criteria.units import Activation, Magnitude
from leanformer.prune.shrink import Shrink

LABELS = {"classification": ("music", "rice"), "tokens": ("O", "rice")}


def workspace(folder: Path, kind: Any = "classification", family: str = "bert") -> Workspace:
    head = {"tokens": "tokens", "embedding": "embedding"}.get(kind, "classification")
    model, tokenizer = tiny_model(family, head=head, num_labels=1 if kind == "regression" else 2)
    texts = examples(kind) if kind != "embedding" else examples().without_labels()
    task = Task(kind=kind, labels=LABELS.get(kind, ()))
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    return Workspace(
        name="student", model=model, tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens", "embedding"])
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_the_model_has_the_asked_shape_and_proves_it(
    tmp_path: Path, kind: Any, family: str
) -> None:
    criterion = {"criterion": Activation()} if kind == "embedding" else {}
    step = Shrink(layers=2, heads=0.5, ffn=1 / 3, multiple=16, **criterion)  # type: ignore[arg-type]
    done = step.apply(workspace(tmp_path, kind, family))
    shape = shape_of(done.model)
    assert (shape.heads, shape.ffn) == ((2, 2), (16, 16))
    claims = ["layers", "attention heads", "FFN neurons", "parameters of the layers"]
    assert [proof.claim for proof in done.proofs][:4] == claims
    assert all(proof.ok for proof in done.proofs)
    assert not done.model.training


def test_named_layers_are_kept(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    layers = list(given.model.bert.encoder.layer)
    assert list(Shrink(layers=(0, 2)).apply(given).model.bert.encoder.layer) == [
        layers[0],
        layers[2],
    ]
    given = workspace(tmp_path)
    layers = list(given.model.bert.encoder.layer)
    kept = Shrink(layers=2, depth="spaced").apply(given).model.bert.encoder.layer
    assert list(kept) == [layers[0], layers[1]]


def test_the_largest_neurons_stay(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    chosen = [4, 9, 17, 30]
    for layer in given.model.bert.encoder.layer:
        layer.output.dense.weight.data[:, chosen] *= 100
    expected = given.model.bert.encoder.layer[0].output.dense.weight[:, chosen].clone()
    done = Shrink(ffn=4 / 48, multiple=4, criterion=Magnitude()).apply(given)
    assert torch.equal(done.model.bert.encoder.layer[0].output.dense.weight, expected)
    assert shape_of(done.model).heads == (4, 4, 4)


def test_global_spread_gives_layers_what_they_need(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    given.model.bert.encoder.layer[1].output.dense.weight.data[:, 4:] *= 1e-3
    done = Shrink(ffn=0.5, multiple=4, criterion=Magnitude(), spread="global").apply(given)
    widths = shape_of(done.model).ffn
    assert widths[1] == 4
    assert widths[0] > 24 > 4


def test_the_same_seed_keeps_the_same_units(tmp_path: Path) -> None:
    models = [Shrink(heads=0.5, ffn=0.5).apply(workspace(tmp_path)).model for _ in range(2)]
    for ours, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_nothing_removed_fails_loudly(tmp_path: Path) -> None:
    with pytest.raises(NoEffect, match=r"parameters of the layers: was (\d+) and is \1"):
        Shrink(layers=3).apply(workspace(tmp_path))
    with pytest.raises(NoEffect, match="operations at 1 x 128 tokens"):
        Shrink(ffn=0.9, multiple=64).apply(workspace(tmp_path))  # one block is the whole layer


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "shrink: layers, heads and ffn all keep everything; name what to remove"),
        ({"heads": 0.0}, r"heads: 0.0 is not above 0 and at most 1"),
        ({"ffn": 1.5}, "ffn: 1.5 is not above 0 and at most 1"),
        ({"ffn": 0.5, "multiple": 0}, "multiple: 0 is not at least 1"),
        ({"ffn": 0.5, "batches": 0}, "batches: 0 is not at least 1"),
        ({"ffn": 0.5, "max_length": 0}, "max_length: 0 is not between 3"),
    ],
)
def test_settings_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shrink(**fields)


@pytest.mark.parametrize(
    ("kind", "step", "message"),
    [
        ("embedding", Shrink(layers=1, ffn=0.5), "criterion: taylor needs labels and a task of kind embedding has none"),
        ("classification", Shrink(layers=4), "layers: 4 of the model's 3 cannot be kept"),
        ("classification", Shrink(layers=(0, 7)), "layer 7 is out of range"),
        ("classification", Shrink(layers=()), "no layer is kept; at least one must stay"),
    ],
)  # fmt: skip
def test_a_refusal_leaves_the_model_as_it_was(
    tmp_path: Path, kind: Any, step: Shrink, message: str
) -> None:
    given = workspace(tmp_path, kind)
    before = shape_of(given.model)
    with pytest.raises(ValueError, match=message):
        step.apply(given)
    assert shape_of(given.model) == before


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    stranger = given.with_(model=torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"architecture 'Linear' is not known .* known are bert"):
        Shrink(layers=1).apply(stranger)
