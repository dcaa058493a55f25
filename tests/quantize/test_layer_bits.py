from dataclasses import replace

import pytest
from train.toy import examples

from leanformer.core.record import Record, read
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Task
from leanformer.models.tiny import tiny_model
from leanformer.quantize.fake import rounded_layers
from leanformer.quantize.fixed_bits import FixedBits
from leanformer.quantize.hessian_bits import HessianBits
from leanformer.quantize.layer_bits import stacked
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Ternary, Uniform


def workspace_of(folder, head="classification"):
    model, tokenizer = tiny_model("bert", head=head, num_labels=2)
    labels = ("music", "rice") if head == "classification" else ()
    texts = examples() if labels else replace(examples(), labels=None)
    dataset = Dataset(
        name="toy", task=Task(kind=head, labels=labels), train=texts, dev=texts, test=texts
    )  # fmt: skip
    return Workspace(
        name="small", model=model, tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"),
    )  # fmt: skip


def bits_of(model):
    """Bits of every rounding layer, by the number of its transformer layer."""
    found = {}
    for name, layer in rounded_layers(model).items():
        if ".layer." in name:  # the pooler is in none
            found.setdefault(name.split(".layer.")[1][0], set()).add(layer.quantizer.bits)
    return found


def test_each_layer_rounds_to_its_bits_and_keeps_the_other_settings(tmp_path):
    workspace = workspace_of(tmp_path)
    step = QuantizeAware(
        weights=Uniform(symmetric=False, granularity="tensor"), bits=FixedBits(bits=(2, 8, 4))
    )
    step.apply(workspace)
    assert bits_of(workspace.model) == {"0": {2}, "1": {8}, "2": {4}}
    for layer in rounded_layers(workspace.model).values():
        assert replace(layer.quantizer, bits=8) == step.weights
    (event,) = [e for e in read(workspace.record.path) if e["event"] == "bits_by_layer"]
    assert [row["bits"] for row in event["rows"]] == [2, 8, 4]


def test_curvature_is_measured_on_labelled_texts(tmp_path):
    workspace = workspace_of(tmp_path)
    QuantizeAware(bits=HessianBits(slices=2, texts=8, iterations=2)).apply(workspace)
    (event,) = [e for e in read(workspace.record.path) if e["event"] == "bits_by_layer"]
    rows = sorted(event["rows"], key=lambda row: row["sensitivity"])
    assert [row["bits"] for row in rows] == [2, 3, 3]
    found = bits_of(workspace.model)
    for row in rows:
        assert found[row["layer"][-1]] == {row["bits"]}


def test_layers_are_told_by_their_names(tmp_path):
    model = workspace_of(tmp_path).model
    names = ["bert.encoder.layer.1.output.dense", "classifier"]
    prefix = "bert.encoder.layer"
    assert stacked(model, names) == {
        f"{prefix}.0": [], f"{prefix}.1": names[:1], f"{prefix}.2": [],
    }  # fmt: skip


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"bits: Ternary.* has no bits to choose"):
        QuantizeAware(weights=Ternary(), bits=HessianBits())
    with pytest.raises(ValueError, match="the curvature of the loss needs labels, and a task of"):
        QuantizeAware(bits=HessianBits()).apply(workspace_of(tmp_path, "embedding"))
