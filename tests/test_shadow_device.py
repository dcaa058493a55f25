"""The device that other tests stand on does what it says."""

import copy

import pytest
import torch
from shadow_device import shadow

from leanformer.models.tiny import tiny_model


def test_a_model_answers_as_on_the_cpu_and_devices_do_not_mix() -> None:
    device = shadow()
    model, tokenizer = tiny_model("bert")
    model.set_attn_implementation("eager")  # the fused kernels round the last bit otherwise
    ids = tokenizer(["music in the mountains"], return_tensors="pt")["input_ids"]
    asked = model(input_ids=ids).logits
    model.to(device)
    assert torch.equal(model(input_ids=ids.to(device)).logits.cpu(), asked)
    with pytest.raises(RuntimeError, match="two devices, shadow:0 and cpu"):
        model(input_ids=ids)
    with pytest.raises(RuntimeError, match="two devices"):
        torch.ones(2, device=device) + torch.ones(2)
    assert (torch.ones(2, device=device) + torch.tensor(1.0)).device == device


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_a_training_ends_as_on_the_cpu(optimizer: type[torch.optim.Optimizer]) -> None:
    device = shadow()
    ours, tokenizer = tiny_model("bert", head="masked")
    ours.set_attn_implementation("eager")
    theirs = copy.deepcopy(ours).to(device)
    ids = tokenizer(["music in the mountains"], return_tensors="pt")["input_ids"]
    for model in (ours, theirs):
        steps = optimizer(model.parameters(), lr=1e-2)
        for _ in range(3):
            place = model.device
            model(input_ids=ids.to(place)).logits.square().mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            steps.step()
            steps.zero_grad()
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor.cpu(), ours.state_dict()[name]), name


def test_a_move_there_and_back_keeps_ties_and_attributes() -> None:
    model, _ = tiny_model("bert", head="masked")
    embeddings, decoder = model.get_input_embeddings(), model.cls.predictions.decoder
    embeddings.weight.mark = 7
    before = embeddings.weight.detach().clone()
    for place in (shadow(), "cpu"):
        model.to(place)
        assert embeddings.weight.device.type == torch.device(place).type
        assert embeddings.weight is decoder.weight
        assert embeddings.weight.mark == 7
    assert torch.equal(embeddings.weight, before)
