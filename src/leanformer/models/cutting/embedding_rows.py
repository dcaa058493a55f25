"""The rows of a model that belong to pieces of its vocabulary: word embeddings and output layers.

    cut      w'_i = w_kept(i)                     rows are gathered under their new numbers
    grown    w'_V+n = 1/|P_n| sum_{p in P_n} w_p  a new token begins as the mean of its parts

An output layer, tied to the word embeddings or not, and the bias beside it follow.

Legend: V rows before, P_n the pieces that spelled new token n.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.models.anatomy import anatomy_of
from leanformer.models.lean.per_layer_shapes import configurations


def gather_rows(model: Any, kept: list[int]) -> None:
    """Keep the embedding rows `kept`, and the rows of an output layer, tied to them or not."""
    words = anatomy_of(model).word_embeddings(model)
    old, index = words.num_embeddings, torch.tensor(kept)
    _replace_rows(model, lambda rows: rows.index_select(0, index.to(rows.device)), len(kept))
    renumbered = {before: after for after, before in enumerate(kept)}
    for module in model.modules():  # a model repeats the number beside its word embeddings
        padding = getattr(module, "padding_idx", None)
        if padding is not None and (module is words or not isinstance(module, nn.Embedding)):
            module.padding_idx = renumbered.get(padding)
    settings = [*configurations(model), getattr(model, "generation_config", None)]
    for config in settings:
        if config is not None:
            _renumber(config, renumbered, old)


def append_rows(model: Any, parts: Sequence[Sequence[int]]) -> None:
    """Append one row per new token to the word embeddings and to an output layer.

    Args:
        model: A transformers model of a known family, with any head.
        parts: For each new token, the ids whose rows it begins as the mean of.
    """

    def grown(rows: Tensor) -> Tensor:
        return torch.cat([rows, torch.stack([rows[list(ids)].mean(0) for ids in parts])])

    old = anatomy_of(model).word_embeddings(model).num_embeddings
    _replace_rows(model, grown, old + len(parts))


def id_fields(config: Any) -> list[tuple[str, Any]]:
    """The configuration's fields that hold ids of special tokens."""
    fields = [] if config is None else list(config.to_dict().items())
    return [
        (name, value)
        for name, value in fields
        if name.endswith("_token_id") and (isinstance(value, list) or type(value) is int)
    ]


def _replace_rows(model: Any, made: Callable[[Tensor], Tensor], new: int) -> None:
    """Replace each parameter with one row per piece by `made` of it, which has `new` rows."""
    words = anatomy_of(model).word_embeddings(model)
    old = words.num_embeddings
    replaced = {
        id(rows): nn.Parameter(made(rows.detach()), requires_grad=rows.requires_grad)
        for rows in _parameters_by_piece(model, words)
    }
    for module in model.modules():
        names = [name for name, p in module.named_parameters(recurse=False) if id(p) in replaced]
        for name in names:
            setattr(module, name, replaced[id(getattr(module, name))])
        sizes = ("num_embeddings", "out_features", "vocab_size") if names else ("vocab_size",)
        for size in sizes:
            if getattr(module, size, None) == old:
                setattr(module, size, new)
    for config in configurations(model):
        config.vocab_size = new


def _parameters_by_piece(model: Any, words: nn.Embedding) -> list[Any]:
    """The parameters with one row per piece: embeddings, output layer, the bias beside it."""
    found: list[Any] = [words.weight]
    output = model.get_output_embeddings()
    if output is None:
        return found
    path = next(name for name, module in model.named_modules() if module is output)
    beside = model.get_submodule(path.rpartition(".")[0])
    rows = [*output.parameters(), beside._parameters.get("bias")]
    return found + [row for row in rows if row is not None and row.shape[0] == words.num_embeddings]


def _renumber(config: Any, renumbered: dict[int, int], old: int) -> None:
    for name, value in id_fields(config):
        if isinstance(value, list):
            setattr(config, name, [renumbered[number] for number in value if number in renumbered])
        elif value < old:
            setattr(config, name, renumbered.get(value))
