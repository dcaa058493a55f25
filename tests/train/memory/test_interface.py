import tomllib
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from train.toy import FAST, TEXTS
from train.two_terms import same
from typer.testing import CliRunner

from leanformer.cli import app
from leanformer.core.codec import decode
from leanformer.data import Examples, encode_examples
from leanformer.models.packed import check_packs
from leanformer.models.tiny import tiny_model
from leanformer.recipe import Recipe
from leanformer.train import Supervised, fit
from leanformer.train.memory import CheckpointActivations, ChunkedCrossEntropy, MemorySaver
from leanformer.train.steps.documents import encode_documents
from leanformer.train.steps.finetune import Finetune

RECIPE = """
model = "m"
[data]
path = "d"
[[steps]]
use = "finetune"
[steps.train]
memory = [{ use = "checkpoint-activations", every = 2 }, { use = "chunked-cross-entropy" }]
"""


def test_a_recipe_names_savers_in_their_order_and_the_command_explains_them() -> None:
    (step,) = decode(Recipe, tomllib.loads(RECIPE)).steps
    assert isinstance(step, Finetune)
    assert step.train.memory == (CheckpointActivations(every=2), ChunkedCrossEntropy())
    listed = CliRunner().invoke(app, ["list", MemorySaver.family])
    for name in ("chunked-cross-entropy", "swap-layers", "offload-activations"):
        assert name in listed.output
        assert f"{name}  (memory-saver)" in CliRunner().invoke(app, ["show", name]).output


class Nothing(MemorySaver):
    """Saves nothing."""

    def apply(self, model: nn.Module, loss: Any) -> Any:
        raise NotImplementedError


def test_a_saver_leaves_the_optimizer_alone_unless_it_says_otherwise() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    assert Nothing().optimizer(optimizer) is optimizer


@pytest.mark.parametrize("packed", [True, False])
def test_savers_change_no_training_of_packed_or_padded_texts(packed: bool) -> None:
    def trained(memory: tuple[MemorySaver, ...]) -> Any:
        model, tokenizer = tiny_model("llama", head="causal")
        if packed:
            check_packs(model)
            encoded, _ = encode_documents(TEXTS, tokenizer, "causal-lm", 24, packed_for=(model,))
        else:
            encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "causal-lm", 24)
        model.double()
        setup = replace(FAST, steps=3, memory=memory, max_tokens_per_microbatch=60)
        done = fit(model, encoded, Supervised("causal-lm"), setup)
        return done.losses, dict(model.state_dict())

    losses, weights = trained(())
    ours, others = trained((CheckpointActivations(), ChunkedCrossEntropy(tokens=5)))
    assert ours == pytest.approx(losses, rel=1e-12)
    assert not same(weights, dict(tiny_model("llama", head="causal")[0].double().state_dict()))
    for name, tensor in weights.items():
        torch.testing.assert_close(others[name], tensor, rtol=1e-8, atol=1e-10)
