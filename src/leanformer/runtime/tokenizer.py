"""The tokenizer of a served folder, without transformers and so without torch.

`tokenizer.json` holds everything that a fast tokenizer does; the `tokenizers` library reads it
alone, in milliseconds. It answers the few questions that serving asks, with the names transformers
gives them, so that either may be handed to what tokenizes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer


class ServingTokenizer:
    """What `tokenizer.json` says, called like a transformers tokenizer.

    Attributes:
        pad_token_id: The id that fills up short rows.
    """

    def __init__(self, folder: Path) -> None:
        """Read the tokenizer of `folder`.

        Raises:
            ValueError: `tokenizer.json` is damaged.
        """
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{folder / 'tokenizer.json'} is damaged: {error}") from error
        self.tokenizer.no_padding()
        config = json.loads((folder / "config.json").read_text("utf-8"))
        self.pad_token_id = int(config.get("pad_token_id") or 0)

    def __call__(
        self,
        texts: str | Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        truncation: bool = False,
        max_length: int | None = None,
        return_token_type_ids: bool = True,
    ) -> Any:
        """Ids, mask and types of each text; of a single text its encoding."""
        if truncation and max_length is not None:
            self.tokenizer.enable_truncation(max_length)
        else:
            self.tokenizer.no_truncation()
        if isinstance(texts, str):
            return self.tokenizer.encode(texts)
        rows = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        encoded = self.tokenizer.encode_batch(rows)
        return {
            "input_ids": [row.ids for row in encoded],
            "attention_mask": [row.attention_mask for row in encoded],
            "token_type_ids": [row.type_ids for row in encoded],
        }


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer of `folder`; transformers reads those that are not `tokenizer.json`."""
    if (folder / "tokenizer.json").is_file():
        return ServingTokenizer(folder)
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
