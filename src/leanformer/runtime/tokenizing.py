"""Texts to token ids, refusing what is no text and saying what was cut."""

import logging
from collections.abc import Sequence
from typing import Any

from leanformer.runtime.batching import Encoded

_log = logging.getLogger(__name__)


def check_texts(texts: Sequence[str], name: str = "texts") -> None:
    """Refuse what is not a list of texts.

    Raises:
        ValueError: It is a single string, or an item is no string or is empty; the index is named.
    """
    if isinstance(texts, str):
        raise ValueError(f"{name}: got one string; give a list of them: [{texts[:20]!r}]")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{name}[{index}]: {text!r} is {type(text).__name__}, not a text")
        if not text.strip():
            raise ValueError(f"{name}[{index}] is empty; leave it out or give it a text")


def tokenize(
    tokenizer: Any,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    *,
    max_length: int,
    truncate: bool,
) -> Encoded:
    """Ids, mask and token types of each text, not padded.

    Args:
        tokenizer: A fast Hugging Face tokenizer.
        texts: The texts.
        pairs: Their second texts, or None.
        max_length: The longest input of the model in tokens.
        truncate: Cut longer inputs (a warning says how many) instead of refusing them.

    Raises:
        ValueError: An input is too long and `truncate` is false; its index and length are named.
    """
    second = None if pairs is None else list(pairs)
    logging.getLogger("transformers.tokenization_utils_base").setLevel(logging.ERROR)
    encoded = tokenizer(list(texts), second, return_token_type_ids=True)
    long = [index for index, ids in enumerate(encoded["input_ids"]) if len(ids) > max_length]
    if long and not truncate:
        length = len(encoded["input_ids"][long[0]])
        raise ValueError(
            f"texts[{long[0]}] is {length} tokens long and the model reads {max_length}; "
            "shorten it or pass truncate=True"
        )
    if long:
        _log.warning("%d of %d texts cut to %d tokens", len(long), len(texts), max_length)
        encoded = tokenizer(
            list(texts), second, return_token_type_ids=True, truncation=True, max_length=max_length
        )
    return {name: encoded[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
