"""The token ids of documents, as they are stored: a corpus is tokenized once.

    causal-lm    what the tokenizer gives, and the end token; a long document is split anywhere
    masked-lm    the text alone; [CLS] and [SEP] are put around each piece of it in its row

Both are read whole, however long they are.
"""

import json
from collections.abc import Sequence
from typing import Any

from leanformer.core.identity.digest import digest
from leanformer.data.packing import end_token, ended
from leanformer.tasks import kind_named
from leanformer.text import reader_of
from leanformer.text.layout import layout_of

KINDS = ("causal-lm", "masked-lm")
"""The kinds of task that a corpus is prepared for."""


class TokenIds:
    """Tokenizes documents for one kind of language model.

    Attributes:
        kind: "causal-lm" or "masked-lm".
        before: Ids that stand before each piece of a document in a row; none for causal models.
        after: Ids that stand after it.
        largest: The largest id that may come up.

    Raises:
        ValueError: `kind` is another kind of task, or the tokenizer has no end token (causal) or no
            mask token (masked).
    """

    def __init__(self, tokenizer: Any, kind: str) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind: {kind!r} is not {' or '.join(KINDS)}")
        self.kind, self._reader = kind, reader_of(tokenizer, None)
        layout = layout_of(tokenizer.backend_tokenizer, pair=False)
        self._begin, self._end = layout.begin, len(layout.after[0])
        self.before: tuple[int, ...] = ()
        self.after: tuple[int, ...] = ()
        self.largest = max(tokenizer.get_vocab().values())
        self._last = end_token(tokenizer) if kind_named(kind).predicts_next else None
        if self._last is not None:
            return
        if tokenizer.mask_token_id is None:
            raise ValueError(
                f"{type(tokenizer).__name__} has no mask token, with which words are hidden; name "
                "one as mask_token in tokenizer_config.json"
            )
        self.before, self.after = tuple(layout.before[0]), tuple(layout.after[0])

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; [] where the tokenizer finds no token in it."""
        found = []
        for one in self._reader.read(texts, parallel=True):
            own = one.ids[self._begin : len(one.ids) - self._end]
            whole = own if self._last is None else ended(one.ids, self._last)
            found.append(whole if own else [])
        return found

    def identity(self, tokenizer: Any) -> dict[str, str]:
        """What decides the ids of a text: how rows are cut and padded does not."""
        table = json.loads(tokenizer.backend_tokenizer.to_str())
        read = json.dumps(table | {"truncation": None, "padding": None}, sort_keys=True)
        special = bool(getattr(tokenizer, "split_special_tokens", False))
        return {
            "kind": self.kind,
            "tokenizer": digest(read, special, self._reader.prefix, self._last),
        }
