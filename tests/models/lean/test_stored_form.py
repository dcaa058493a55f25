from typing import Any

import torch
from transformers import AutoModel, BertConfig, BertModel
from transformers.quantizers import auto

from leanformer.models.lean.stored_form import StoredForm, loader, register


class Halved(StoredForm):
    """Weights are stored halved, in a model that says so while it is read."""

    method = "leanformer-test-halved"

    def __init__(self, layer: str, **_: Any) -> None:
        super().__init__()
        self.layer = layer

    def before_weights(self, model: Any) -> None:
        model.get_submodule(self.layer).being_read = True

    def after_weights(self, model: Any) -> None:
        layer = model.get_submodule(self.layer)
        assert layer.being_read
        assert not hasattr(model.config, "quantization_config")
        with torch.no_grad():
            layer.weight.mul_(2)


def test_a_form_does_its_part_before_and_after_the_weights_are_read(tmp_path: Any) -> None:
    register(Halved)
    model = BertModel(BertConfig(
        hidden_size=8, num_attention_heads=2, num_hidden_layers=1, intermediate_size=8,
        vocab_size=20,
    ))  # fmt: skip
    whole = model.pooler.dense.weight.detach().clone()
    with torch.no_grad():
        model.pooler.dense.weight.div_(2)
    model.config.quantization_config = Halved("pooler.dense").to_dict()
    model.save_pretrained(tmp_path)
    found = AutoModel.from_pretrained(tmp_path)
    assert torch.equal(found.pooler.dense.weight, whole)
    found.save_pretrained(tmp_path / "again")
    assert torch.equal(AutoModel.from_pretrained(tmp_path / "again").pooler.dense.weight, whole)


def test_registering_again_changes_nothing() -> None:
    register(Halved)
    before = dict(auto.AUTO_QUANTIZER_MAPPING)
    register(Halved)
    assert before == auto.AUTO_QUANTIZER_MAPPING
    quantizer = loader()(Halved("pooler"))
    assert quantizer.is_serializable()
    assert quantizer.is_trainable
