"""The last layer computes the first token alone, where the head reads nothing else.

    y_B1D = layer(queries of x_B1D, keys and values of x_BTD)        instead of        y_BTD

A classifier that reads the vector of [CLS] ignores what the last layer makes of the other tokens:
their queries, the projection after attention, and the whole FFN. The exported graph leaves these
out. Weights, answers and the PyTorch model stay as they are. A third of a three-layer student's
products are in its last layer, so this is where short texts gain most.

Legend: B batch, T token, D model width, H head, K head width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.models.anatomy import Anatomy, anatomy_of, layers_of, multiplied
from leanformer.runtime.graph import InferenceGraph, example_inputs

_EQUAL = 1e-4  # of the largest output: rounding of another order of sums


@contextmanager
def first_token_alone(graph: InferenceGraph) -> Iterator[bool]:
    """Within it, the last layer of `graph` computes the first token alone, if answers stay equal.

    Gives whether it does. It does not where the task reads every token or the model is not one
    whose attention is softmax(QKᵀ)V of plain projections (BERT, RoBERTa, XLM-RoBERTa, ELECTRA,
    DistilBERT), and neither where the head pools another way: whether the outputs are the same is
    computed on two rows of different length.
    """
    if not _may_leave_out(graph):
        yield False
        return
    layer = layers_of(graph.model)[-1]
    with torch.no_grad():
        example = example_inputs(graph)
        whole = graph(**example)
        layer.forward = partial(_first_token, layer, anatomy_of(graph.model))
        try:
            equal = _equal(graph, example, whole)
            if not equal:
                del layer.forward
            yield equal
        finally:
            layer.__dict__.pop("forward", None)


def _may_leave_out(graph: InferenceGraph) -> bool:
    """Whether one vector per text is read, from layers that are known."""
    one_each = not graph.about.per_token and graph.about.output != "vector"
    return one_each and not graph.about.predicts_next and bool(multiplied(graph.model))


def _equal(graph: InferenceGraph, example: dict[str, Tensor], whole: Tensor) -> bool:
    """Whether the model as it is now gives `whole`; a head that needs every token may refuse."""
    try:
        short = graph(**example)
    except (RuntimeError, IndexError):
        return False
    if short.shape != whole.shape:
        return False
    return float((short - whole).abs().max()) <= _EQUAL * float(whole.abs().max())


def _first_token(
    layer: Any,
    anatomy: Anatomy,
    hidden_BTD: Tensor,
    attention_mask: Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """The forward of `layer` for its first token, which attends to all of them."""
    attention = anatomy.attention(layer)
    attention.forward = partial(_attend, layer, anatomy, hidden_BTD, attention_mask)
    try:
        return type(layer).forward(layer, hidden_BTD[:, :1], attention_mask, *args, **kwargs)
    finally:
        del attention.forward


def _attend(
    layer: Any,
    anatomy: Anatomy,
    hidden_BTD: Tensor,
    mask: Tensor | None,
    first_B1D: Tensor,
    *args: Any,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention of a layer: queries of the first token, keys and values of all."""
    attention = anatomy.attention(layer)
    query, key, value = (layer.get_submodule(path) for path in anatomy.projections)
    width = getattr(attention, anatomy.head_width)

    def heads(rows: Tensor) -> Tensor:
        return rows.view(*rows.shape[:2], -1, width).transpose(1, 2)

    mixed_BH1K = F.scaled_dot_product_attention(
        heads(query(first_B1D)),
        heads(key(hidden_BTD)),
        heads(value(hidden_BTD)),
        attn_mask=None if mask is None else mask[:, :, :1],
        scale=attention.scaling,
    )
    mixed_B1C = mixed_BH1K.transpose(1, 2).flatten(2)
    if anatomy.head_point_path.startswith(f"{anatomy.attention_path}."):
        mixed_B1C = anatomy.head_point(layer)(mixed_B1C)  # DistilBERT projects inside attention
    return mixed_B1C, None
