"""The configuration of a stored form in memory: its class, its copies, its way back."""

import copy
import pickle

import pytest
from transformers import AutoConfig, BertConfig

from leanformer.models.lean import stored_config
from leanformer.models.lean.stored_config import mark_plain, mark_stored, stored_config_of


def test_copies_pickles_and_dictionaries() -> None:
    config = BertConfig(num_hidden_layers=2, id2label={0: "a", 1: "b", 2: "c"})
    mark_stored(config, {"quant_method": "leanformer-attention", "layers": {}})
    for again in (
        copy.deepcopy(config),
        pickle.loads(pickle.dumps(config)),
        AutoConfig.for_model(**config.to_dict()),
        type(config).from_dict(config.to_diff_dict()),
    ):
        assert type(again) is type(config)
        assert again.to_dict() == config.to_dict()
        assert again.model_type == "bert"
        assert again.quantization_config["quant_method"] == "leanformer-attention"
    with pytest.raises(ValueError, match="is stored as leanformer-attention already"):
        mark_stored(config, {"quant_method": "leanformer"})
    mark_stored(config, {"quant_method": "leanformer-attention"})
    mark_plain(config)
    mark_plain(config)
    assert type(config) is BertConfig
    assert config.to_dict() == BertConfig(num_hidden_layers=2, id2label=config.id2label).to_dict()


def test_a_form_that_is_gone_leaves_a_plain_configuration() -> None:
    config = BertConfig()
    mark_stored(config, {"quant_method": "leanformer"})
    del config.quantization_config
    assert config.to_dict()["model_type"] == config.to_diff_dict()["model_type"] == "bert"


def test_an_architecture_that_transformers_does_not_have_keeps_its_class() -> None:
    class Own(BertConfig):
        model_type = "own"

    config = Own()
    mark_stored(config, {"quant_method": "leanformer"})
    assert type(config) is Own
    mark_plain(config)
    assert not hasattr(config, "quantization_config")


def test_no_such_stored_architecture() -> None:
    with pytest.raises(AttributeError, match="no architecture is stored as 'leanformer-nothing'"):
        stored_config_of("leanformer-nothing")
    with pytest.raises(AttributeError, match="no architecture is stored as 'bert'"):
        stored_config_of("bert")
    with pytest.raises(AttributeError, match="no attribute 'NothingConfig'"):
        _ = stored_config.NothingConfig
