"""Readers of checkpoints: from the tokenizer files of a folder, or from transformers' tokenizer."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from leanformer.text.reader import Reader

_TYPES = "token_type_ids"


def open_reader(folder: Path, max_length: int) -> Reader:
    """The reader of a folder with `tokenizer.json`, which puts its default prompt before texts.

    Args:
        folder: The folder.
        max_length: Tokens that are read of a text; fewer where the tokenizer says so.

    Raises:
        FileNotFoundError: There is no `tokenizer.json`.
        ValueError: A file is damaged.
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
    options = _json(folder / "tokenizer_config.json")
    own = _json(folder / "config.json").get("pad_token_id")
    return Reader(
        tokenizer,
        min(max_length, int(options.get("model_max_length") or max_length)),
        pad_id=int(own or _pad_id(tokenizer, options)),
        tells_types=_TYPES in options.get("model_input_names", [_TYPES]),
        side=options.get("truncation_side", "right"),
        split_special=bool(options.get("split_special_tokens", False)),
        prefix=_prompt(folder / "config_sentence_transformers.json"),
    )


def reader_of(tokenizer: Any, max_length: int) -> Reader:
    """The reader of a fast transformers tokenizer, which stays as it is.

    Its attribute `prompt`, where `load_model` gave it one, is put before every text.
    """
    return Reader(
        Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),
        min(max_length, tokenizer.model_max_length),
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
    if not file.is_file():
        return {}
    try:
        value = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{file} is damaged: it must hold a JSON object")
    return value
