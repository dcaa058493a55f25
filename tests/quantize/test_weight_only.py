import pytest
import torch
from quantize.test_quantize_aware import workspace_of

from leanformer.calibrate.gram import gather_grams, output_loss
from leanformer.core.record import read
from leanformer.data import encode_examples
from leanformer.models.io.load import load_model
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Gptq, Ternary, Uniform
from leanformer.quantize.weight_only import WeightOnly

LAYER = "bert.encoder.layer.1.output.dense"
FOUR = Gptq(grid=Uniform(bits=4, granularity="group", group_size=16))


def losses(workspace):
    (event,) = [e for e in read(workspace.record.path) if e["event"] == "losses_by_layer"]
    return {row["layer"]: row["loss"] for row in event["rows"]}


def test_the_layers_are_packed_and_the_rest_stays(tmp_path):
    workspace = workspace_of(tmp_path)
    before = {name: t.clone() for name, t in workspace.model.state_dict().items()}
    done = WeightOnly(weights=FOUR, embeddings=Uniform(), modules_to_not_convert=(LAYER,)).apply(
        workspace
    )
    changed = {
        name for name, t in done.model.state_dict().items() if not torch.equal(t, before[name])
    }
    expected = {f"{name}.weight" for name in losses(workspace)}
    assert changed == {*expected, "bert.embeddings.word_embeddings.weight"}
    assert len(expected) == 3 * 6 - 1
    loaded, _ = load_model(done.saved, "classification", num_labels=2)
    for name, tensor in done.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_second_order_rounding_loses_less_in_every_layer(tmp_path):
    found = {}
    for name, weights in (("gptq", FOUR), ("nearest", FOUR.grid)):
        workspace = workspace_of(tmp_path / name)
        WeightOnly(weights=weights).apply(workspace)
        found[name] = losses(workspace)
    assert list(found["gptq"].values()) == sorted(found["gptq"].values(), reverse=True)
    assert all(loss < found["nearest"][name] for name, loss in found["gptq"].items())


def test_the_recorded_loss_is_that_of_the_layer(tmp_path):
    workspace = workspace_of(tmp_path)
    texts = workspace.dataset.train
    encoded = encode_examples(texts, workspace.tokenizer, "classification", 128)
    batches = [encoded.batch([index]).inputs for index in range(len(texts))]
    gram = gather_grams(workspace.model, batches, layers=(LAYER,))[LAYER]
    weight = workspace.model.get_submodule(LAYER).weight.detach().clone()
    WeightOnly(weights=Ternary()).apply(workspace)
    rounded = Ternary().quantize(weight).dequantized()
    expected = output_loss(weight, rounded, gram)
    assert losses(workspace)[LAYER] == pytest.approx(expected, rel=1e-6)


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="texts: 0 is not at least 1"):
        WeightOnly(texts=0)
    with pytest.raises(ValueError, match=r"embeddings: Gptq.* needs inputs to multiply with"):
        WeightOnly(embeddings=Gptq())
    workspace = workspace_of(tmp_path)
    with pytest.raises(ValueError, match="modules_to_not_convert: no layer is named nonsense"):
        WeightOnly(modules_to_not_convert=("nonsense",)).apply(workspace)
    with pytest.raises(
        ValueError, match=r"weight-only: bert.*query: group_size: 128 does not divide"
    ):
        WeightOnly().apply(workspace)
    everything = tuple(n for n, m in workspace.model.named_modules() if n)
    with pytest.raises(ValueError, match="modules_to_not_convert: it names every linear layer"):
        WeightOnly(modules_to_not_convert=everything).apply(workspace)
    QuantizeAware().apply(workspace)
    with pytest.raises(ValueError, match="the layers of the model round their weights"):
        WeightOnly(weights=FOUR).apply(workspace)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_decoders_are_packed_and_come_back(tmp_path, family):
    """GPT-2's Conv1D holds its weight the other way round: codes are of outputs by inputs."""
    workspace = workspace_of(tmp_path, family, "embedding")
    kinds = {name: type(module) for name, module in workspace.model.named_modules()}
    done = WeightOnly(weights=FOUR).apply(workspace)
    assert all(proof.ok for proof in done.proofs)
    names = losses(workspace)
    assert len(names) >= 4 * workspace.model.config.num_hidden_layers
    assert all(0 < loss < 0.2 for loss in names.values())
    loaded, _ = load_model(done.saved, "embedding")
    assert {name: type(module) for name, module in loaded.named_modules()} == kinds
    for name, tensor in done.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
