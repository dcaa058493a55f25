"""Readers of checkpoints: from the tokenizer files of a folder, or from transformers' tokenizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from leanformer.core.storage.json_file import read_json
from leanformer.text.encoders import Encoder, HuggingFace
from leanformer.text.reader import Reader

_TYPES = "token_type_ids"
_WHOLE = 2**40  # tokens: no text is as long
_KINDS: dict[str, tuple[type, ...]] = {
    "model_max_length": (int, float),
    "model_input_names": (list,),
    "truncation_side": (str,),
}


def open_reader(
    folder: Path, max_length: int, fast: Callable[[HuggingFace], Encoder | None] | None = None
) -> Reader:
    """The reader of a folder with `tokenizer.json`, which puts its default prompt before texts.

    Args:
        folder: The folder.
        max_length: Tokens that are read of a text; fewer where the tokenizer says so.
        fast: Makes an encoder of equal ids beside Hugging Face's; it may give None.

    Raises:
        FileNotFoundError: There is no `tokenizer.json`.
        ValueError: A file is damaged, or the limit has no room for a text.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing: only fast tokenizers are served; save the model's tokenizer with "
            "save_pretrained of a current transformers"
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{file} is damaged: {error}") from error
    options = _options(folder / "tokenizer_config.json")
    own = _json(folder / "config.json").get("pad_token_id")
    return Reader(
        tokenizer,
        int(min(max_length, options.get("model_max_length") or max_length)),
        pad_id=own if isinstance(own, int) else _pad_id(tokenizer, options),
        tells_types=_TYPES in (options.get("model_input_names") or [_TYPES]),
        side=options.get("truncation_side") or "right",
        split_special=bool(options.get("split_special_tokens", False)),
        prefix=_prompt(folder / "config_sentence_transformers.json"),
        fast=fast,
    )


def reader_of(tokenizer: Any, max_length: int | None) -> Reader:
    """The reader of a fast transformers tokenizer, which stays as it is.

    Its attribute `prompt`, where `load_model` gave it one, is put before every text.

    Args:
        tokenizer: The tokenizer.
        max_length: Tokens that are read of a text, or fewer where the model reads fewer; None = the
            whole text, for whoever splits it.
    """
    return Reader(
        Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),
        _WHOLE if max_length is None else min(max_length, tokenizer.model_max_length),
        pad_id=tokenizer.pad_token_id or 0,
        tells_types=_TYPES in tokenizer.model_input_names,
        side=tokenizer.truncation_side,
        split_special=bool(getattr(tokenizer, "split_special_tokens", False)),
        prefix=getattr(tokenizer, "prompt", ""),
    )


def _prompt(file: Path) -> str:
    """The default prompt of an embedding model, as sentence-transformers' file names it."""
    settings = _json(file)
    prompts, name = settings.get("prompts") or {}, settings.get("default_prompt_name")
    if not name:
        return ""
    if not isinstance(prompts, dict) or not isinstance(prompts.get(name), str):
        raise ValueError(f"{file} is damaged: default_prompt_name {name!r} is not in its prompts")
    return str(prompts[name])


def _pad_id(tokenizer: Tokenizer, options: dict[str, Any]) -> int:
    token = options.get("pad_token")
    name = token.get("content") if isinstance(token, dict) else token
    return (tokenizer.token_to_id(name) if name else None) or 0


def _json(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _options(file: Path) -> dict[str, Any]:
    """What tokenizer_config.json says, checked as far as it is read here."""
    options = _json(file)
    for name, kinds in _KINDS.items():
        value = options.get(name)
        if value is not None and not isinstance(value, kinds):
            raise ValueError(f"{file} is damaged: {name} is {value!r}")
    if options.get("truncation_side") not in (None, "right", "left"):
        raise ValueError(
            f"{file}: truncation_side {options['truncation_side']!r} is not one of right, left"
        )
    return options
