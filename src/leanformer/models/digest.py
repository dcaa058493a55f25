"""What tells one model from another, by content: its weights, its configuration, its tokenizer.

Where a model lies is no part of it, so that a folder may be moved, and one whose files change under
the same name is another model.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core.identity.digest import digest
from leanformer.core.storage.parts import parts_of
from leanformer.models.tied import weights

_NOT_CONTENT = ("_name_or_path", "transformers_version", "dtype")


def weights_digest(module: nn.Module) -> str:
    """A digest of the names, types, shapes and values of all parameters and buffers."""
    return digest(_described(weights(module).items()))


def model_identity(model: Any, tokenizer: Any) -> dict[str, str]:
    """The digests of a model of transformers and of its tokenizer, as JSON values.

    Args:
        model: With its weights, in the precision that it was opened in.
        tokenizer: How its texts are read.
    """
    config = {key: one for key, one in model.config.to_dict().items() if key not in _NOT_CONTENT}
    return {
        "weights": weights_digest(model),
        "config": digest(json.dumps(config, sort_keys=True, default=str)),
        "tokenizer": digest(*_read_by(tokenizer)),
    }


def content_of(name: str) -> str:
    """A folder of a model by what it holds, as a digest; a name on the hub as it is."""
    folder = Path(name).expanduser()
    return digest(json.dumps(parts_of(folder))) if folder.is_dir() else name


def _read_by(tokenizer: Any) -> Iterator[Any]:
    """What decides the ids of a text; how the last call cut and padded does not."""
    yield tokenizer.model_max_length
    yield sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        yield sorted(tokenizer.get_vocab().items())
        return
    table = json.loads(backend.to_str())
    yield json.dumps(table | {"truncation": None, "padding": None}, sort_keys=True)


def _described(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[Any]:
    for name, tensor in tensors:
        yield (name, str(tensor.dtype), tuple(tensor.shape))
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        yield plain.view(torch.uint8).numpy()
