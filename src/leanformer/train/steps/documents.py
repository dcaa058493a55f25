"""The rows that a causal language model learns from: packed, or one text in each."""

from collections.abc import Sequence
from typing import Any

from leanformer.data import Encoded
from leanformer.data.packing import cut, documents, pack
from leanformer.models.packed import check_packs


def encode_documents(
    texts: Sequence[str],
    tokenizer: Any,
    kind: str,
    max_length: int,
    *,
    packed_for: Sequence[Any] = (),
) -> tuple[Encoded, str]:
    """The rows that a causal language model learns from, each text with an end token.

    Args:
        texts: The texts.
        tokenizer: A fast transformers tokenizer.
        kind: Kind of task.
        max_length: Tokens of a row, or fewer where the model reads fewer.
        packed_for: The models that read the rows, if texts are to share them; () = each text has a
            row of its own.

    Returns:
        The rows; and what they hold, in words.

    Raises:
        ValueError: The tokenizer has no end token, or texts cannot be packed for one of the models.
    """
    for model in packed_for:
        check_packs(model)
    length = min(max_length, tokenizer.model_max_length)
    found = documents(texts, tokenizer)
    padding = tokenizer.pad_token_id or 0
    if not packed_for:
        rows = cut(found, kind, length, padding)
        return rows, f"{len(rows)} texts, {rows.truncated} cut to {length} tokens"
    packed = pack(found, kind, length, padding)
    return packed.encoded, (
        f"{packed.texts} texts packed into {len(packed.encoded)} rows of {length} tokens, "
        f"{packed.split} of them longer and split"
    )
