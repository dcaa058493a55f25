"""Trainings that are compared in all layouts: small, in float64, of sizes that no number of ranks
divides, on texts of unequal lengths."""

import random
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from leanformer.data import IGNORE, Batch, Encoded
from leanformer.data.encode import next_tokens
from leanformer.models.reversible.decoder import make_reversible
from leanformer.train import Supervised, Term, TrainSetup
from leanformer.train.masking import Masking
from leanformer.train.optimizers import AdamW, Lamb, Lars
from leanformer.train.scheduled_module import ScheduledModule
from leanformer.train.steps.pretrain import MaskedLanguage
from leanformer.train.testing import Trained

WORDS = 61
SETUP = TrainSetup(
    steps=3,
    batch_size=5,
    max_tokens_per_microbatch=8,  # batches come in several microbatches, of fewer rows than ranks
    precision="fp32",
    optimizer=AdamW(learning_rate=1e-2),
    max_grad_norm=0.5,  # always exceeded
)
BERT: dict[str, Any] = {
    "num_hidden_layers": 3,
    "hidden_size": 20,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "vocab_size": WORDS,
    "max_position_embeddings": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def bert(head: Any = BertForSequenceClassification, **settings: Any) -> Any:
    torch.manual_seed(0)
    return head(BertConfig(**{**BERT, "num_labels": 3, **settings})).double()


def gpt2(**settings: Any) -> Any:
    torch.manual_seed(0)
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    sizes = {"n_layer": 3, "n_embd": 20, "n_head": 2, "vocab_size": WORDS, "n_positions": 32}
    return GPT2LMHeadModel(GPT2Config(**{**sizes, **none, **settings})).double()


def llama(**settings: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 2, "hidden_size": 20, "num_attention_heads": 2}
    more = {"num_key_value_heads": 1, "intermediate_size": 37, "vocab_size": WORDS}
    config = LlamaConfig(**{**sizes, **more, "max_position_embeddings": 32, **settings})
    model = LlamaForCausalLM(config)
    for name, module in list(model.named_modules()):
        if isinstance(module, LlamaRMSNorm):  # which computes in fp32 whatever the model is in
            model.set_submodule(name, nn.RMSNorm(20, eps=1e-6))
    model.model.rotary_emb = Rotary(10)
    return model.double()


class Rotary(nn.Module):
    """Rotary positions in float64, whose own are in fp32 too."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rates = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        angles = position_ids[..., None].double() * self.rates
        both = torch.cat((angles, angles), -1)
        return both.cos(), both.sin()


def texts(kind: str, count: int = 13, longest: int = 11) -> Encoded:
    """Random texts of unequal lengths; word labels are ragged, and one text has none."""
    rng = random.Random(1)
    rows: list[dict[str, list[int]]] = []
    labels: list[Any] = []
    for place in range(count):
        ids = [rng.randrange(5, WORDS) for _ in range(rng.randrange(3, longest + 1))]
        rows.append({"input_ids": ids, "attention_mask": [1] * len(ids)})
        if kind == "causal-lm":
            labels.append(next_tokens(ids))
        elif kind == "tokens":
            known = [rng.choice([IGNORE, 0, 1, 2]) for _ in ids]
            labels.append([IGNORE] * len(ids) if place == 0 else known)
        else:
            labels.append(rng.randrange(3))
    return Encoded(rows, None if kind == "masked-lm" else labels, 0, 0, kind)


def size(model: Any) -> float:
    """What evaluations look at: rises and falls while the model is trained."""
    with torch.no_grad():
        return -float(model(input_ids=torch.arange(5)[None]).logits.double().norm())


def classification() -> Trained:
    return Trained(bert(), texts("classification"), Supervised("classification"), SETUP)


def tagging() -> Trained:
    model = bert(BertForTokenClassification)
    return Trained(model, texts("tokens"), Supervised("tokens"), SETUP)


def tied() -> Trained:
    return Trained(gpt2(), texts("causal-lm"), Supervised("causal-lm"), SETUP)


def untied() -> Trained:
    return Trained(llama(), texts("causal-lm"), Supervised("causal-lm"), SETUP)


def reversible() -> Trained:
    made = untied()
    make_reversible(made.model)
    return made


def masked() -> Trained:
    hide = Masking(mask=4, vocabulary=WORDS, special=(0, 1, 2, 3), share=0.4)
    return Trained(bert(BertForMaskedLM), texts("masked-lm"), MaskedLanguage(hide), SETUP)


def with_unused() -> Trained:
    """A part that no forward pass reaches, as the pooler of an encoder may be."""
    made = classification()
    made.model.add_module("unused", nn.Linear(7, 5).double())
    return made


def frozen() -> Trained:
    made = replace(classification(), setup=replace(SETUP, freeze_embeddings=True))
    made.model.bert.encoder.layer[0].requires_grad_(False)  # type: ignore[union-attr, operator, index]
    return made


def with_lamb() -> Trained:
    setup = replace(SETUP, optimizer=Lamb(learning_rate=1e-2))
    return replace(projected(), setup=setup)


def with_lars() -> Trained:
    return replace(tied(), setup=replace(SETUP, optimizer=Lars(learning_rate=1e-1)))


def whole_batches() -> Trained:
    """Every batch in one microbatch."""
    return replace(classification(), setup=replace(SETUP, max_tokens_per_microbatch=1000))


class Projected(Supervised):
    """A loss with weights of its own, as distillation has projections."""

    def __init__(self) -> None:
        super().__init__("classification")
        torch.manual_seed(1)
        self.project = nn.Linear(20, 7).double()

    def outputs(self, model: nn.Module, batch: Batch, carry: Any) -> Any:
        found = model(**batch.inputs, output_hidden_states=True)
        return found.logits, found.hidden_states[2]

    def terms(self, outputs: Any, batch: Batch) -> list[Term]:
        logits, states = outputs
        keep = batch.inputs["attention_mask"][..., None]
        square = (self.project(states).square() * keep).sum()
        return [*super().terms(logits, batch), Term("states", square, 0.3, "token")]


def projected() -> Trained:
    return replace(classification(), loss=Projected())


def stopped_early() -> Trained:
    setup = replace(SETUP, steps=6, evaluations=6, early_stopping_patience=2)
    return replace(tied(), setup=setup, evaluate=size)


def evaluated_to_the_end() -> Trained:
    setup = replace(SETUP, evaluations=3)
    return replace(tied(), setup=setup, evaluate=size, keep_best=False)


class Squeezed(ScheduledModule):
    """Changes a weight outside of the forward pass, and adds a penalty of another one."""

    def __init__(self, changed: nn.Linear, punished: nn.Linear) -> None:
        super().__init__()
        self.layers = {"changed": changed, "punished": punished}

    def update(self, step: int, steps: int) -> None:
        with torch.no_grad():
            weight = self.layers["changed"].weight
            weight.mul_(weight.abs() > weight.abs().mean() * step / steps)

    def penalty(self) -> Tensor:
        return self.layers["punished"].weight.abs().mean()

    def penalized(self) -> list[nn.Parameter]:
        return [self.layers["punished"].weight]


def scheduled() -> Trained:
    made = classification()
    layer: Any = made.model.bert.encoder.layer[1]  # type: ignore[union-attr, index]
    made.model.add_module("squeezed", Squeezed(layer.output.dense, layer.intermediate.dense))
    return made
