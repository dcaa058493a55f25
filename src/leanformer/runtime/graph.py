"""The whole of inference as one graph: encoder, pooling and head inside, token ids in, answers out.

A runtime that is handed only the encoder leaves pooling and normalisation to Python, and every
caller then writes them again, slightly differently. So the graph that is exported ends where the
task ends:

    classification  logits_BL           regression  score_B1
    tokens          logits_BTL          embedding   e_BD = pool(h_BTD, m_BT), as the model says
    causal-lm       l_BT = log likelihood of each next token; PyTorch alone answers so

Outputs have the ecosystem's names: `logits`; for embedding `sentence_embedding` and, beside it,
`last_hidden_state`, which sentence-transformers' backends read and pool themselves.

Legend: B batch, T token, D model width, L label; m is the attention mask, h the last hidden states.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.models.embedding import embedding_of
from leanformer.numerics.next_tokens import next_log_likelihoods
from leanformer.numerics.pooling import pool
from leanformer.tasks import kind_named, kind_names, served_kind


class InferenceGraph(nn.Module):
    """A Hugging Face model as the runtimes see it: tensors in a fixed order in, one tensor out.

    Attributes:
        model: The wrapped model, in evaluation mode.
        kind: What the output means.
        about: What all tasks of this kind have in common.
        inputs: The names of the inputs, in the order of `forward`; `token_type_ids` is last and
            only there for models that tell two texts apart by it.
        outputs: The names of the outputs of an export.
    """

    def __init__(self, model: Any, kind: str, *, pairs: bool = False) -> None:
        """Wrap `model`.

        Args:
            model: A model with a head for `kind`, or for "embedding" one that returns
                `last_hidden_state`.
            kind: The task.
            pairs: Whether inputs are pairs of texts; only then are token types an input.

        Raises:
            ValueError: `kind` is not a task that is served.
        """
        super().__init__()
        served = kind_names(served=True)
        if kind not in served:
            raise ValueError(f"kind: {kind!r} is not one of {', '.join(served)}")
        self.model = model
        self.vocabulary = int(model.config.vocab_size)
        self.kind, self.about = kind, kind_named(kind)
        self.pooling = embedding_of(model).pooling
        self.inputs: tuple[str, ...] = ("input_ids", "attention_mask")
        if pairs and _tells_segments_apart(model):
            self.inputs += ("token_type_ids",)
        vectors = self.about.output == "vector"
        self.outputs = ("last_hidden_state", "sentence_embedding") if vectors else ("logits",)
        self.eval()  # the wrapper too: an exporter puts back the mode that it found here

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Logits, or for "embedding" one vector per text, pooled as the model says."""
        return self.all_outputs(input_ids, attention_mask, token_type_ids)[-1]

    def all_outputs(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Every output of an export, in the order of `outputs`; the last one is the answer."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, **types)
        if self.about.predicts_next:
            return (next_log_likelihoods(outputs.logits, input_ids, attention_mask),)
        if self.about.output != "vector":
            return (outputs.logits,)
        hidden_BTD = outputs.last_hidden_state.float()
        return hidden_BTD, pool(hidden_BTD, attention_mask, self.pooling)


class ExportedGraph(InferenceGraph):
    """A graph with all of its outputs, as the exporters trace it."""

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """See `InferenceGraph.all_outputs`."""
        return self.all_outputs(input_ids, attention_mask, token_type_ids)


def exported(graph: InferenceGraph) -> ExportedGraph:
    """The same model with all of its outputs.

    Raises:
        ValueError: The task has no graph that could be exported.
    """
    served_kind(graph.kind)
    pairs = "token_type_ids" in graph.inputs
    return ExportedGraph(graph.model, graph.kind, pairs=pairs)


def example_inputs(graph: InferenceGraph) -> dict[str, Tensor]:
    """Two rows of different length, so that a tracer sees a mask that masks."""
    ids = torch.arange(3, 19).reshape(2, 8) % graph.vocabulary
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    tensors = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    return {name: tensors[name] for name in graph.inputs}


def _tells_segments_apart(model: Any) -> bool:
    accepts = "token_type_ids" in inspect.signature(model.forward).parameters
    return accepts and getattr(model.config, "type_vocab_size", 0) > 1
