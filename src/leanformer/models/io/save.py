"""A model and its tokenizer as one folder of safetensors and JSON, whole or not at all."""

from pathlib import Path
from typing import Any

from leanformer.core.storage.files import check_free, check_space, new_folder
from leanformer.models.io.quiet import quiet
from leanformer.models.io.tokenizer_files import save_tokenizer
from leanformer.models.io.write_modules import write_embedding
from leanformer.models.tied import cpu_state, weights
from leanformer.models.written import list_written

_TOKENIZER_BYTES = 64  # a vocabulary entry with its merge in tokenizer.json, amply


def save_model(model: Any, tokenizer: Any, folder: Path, *, overwrite: bool = False) -> None:
    """Write `model` and `tokenizer` to `folder`.

    The folder loads with `AutoModel….from_pretrained` (after `import leanformer`, where layers
    differ in shape) and with `load_model`. The folder of an embedding model, one that was loaded
    with the head "embedding", opens in sentence-transformers too. `parts.json` lists its files
    with their checksums, so that damage is found when it is loaded.

    Args:
        model: A transformers model.
        tokenizer: Its tokenizer.
        folder: Where to; it appears when everything is written.
        overwrite: Replace a folder that is there.

    Raises:
        FileExistsError: `folder` holds something and `overwrite` is false.
        OSError: The disk has not enough space.
    """
    check_free(folder, overwrite=overwrite)
    check_room(model, tokenizer, folder)
    with new_folder(folder, overwrite=overwrite) as temporary:
        write_model(model, tokenizer, temporary)


def check_room(model: Any, tokenizer: Any, folder: Path) -> None:
    """Refuse to begin a folder that the disk cannot hold.

    Raises:
        OSError: The disk has not enough space.
    """
    size = sum(tensor.nbytes for tensor in weights(model).values())
    check_space(folder, size + _TOKENIZER_BYTES * len(tokenizer))


def write_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the files of `save_model` into `folder`, which `new_folder` makes."""
    with quiet():
        model.save_pretrained(folder, state_dict=cpu_state(model))
        save_tokenizer(tokenizer, folder)
        write_embedding(folder, model, tokenizer)
    list_written(folder)
