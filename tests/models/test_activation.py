from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder

from leanformer.models.activation import FIELD, describe_activation
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.tasks import kind_named

PAIR = ("where is the fox", "over the dog")


@pytest.mark.parametrize(
    ("kind", "made"), [("ranking", torch.sigmoid), ("regression", torch.clone)]
)
def test_sentence_transformers_makes_of_an_output_what_is_served(
    tmp_path: Path, kind: str, made: object
) -> None:
    model, tokenizer = tiny_model("bert", num_labels=1)
    setattr(model.config, FIELD, {"activation_fn": "torch.nn.modules.activation.Tanh", "x": 1})
    describe_activation(model, kind_named(kind))
    save_model(model, tokenizer, tmp_path / "model")
    found = CrossEncoder(str(tmp_path / "model"), device="cpu").predict([PAIR])
    with torch.no_grad():
        logit = model(**tokenizer(*PAIR, return_tensors="pt")).logits[0]
    np.testing.assert_allclose(found, made(logit).numpy(), atol=1e-5)  # type: ignore[operator]
    assert getattr(model.config, FIELD)["x"] == 1


@pytest.mark.parametrize("kind", ["classification", "multi-label"])
def test_several_outputs_are_left_to_it(kind: str) -> None:
    model, _ = tiny_model("bert", num_labels=3)
    describe_activation(model, kind_named(kind))
    assert not hasattr(model.config, FIELD)
    bare, _ = tiny_model("bert", head="embedding")
    describe_activation(bare, kind_named("embedding"))
    assert not hasattr(bare.config, FIELD)
