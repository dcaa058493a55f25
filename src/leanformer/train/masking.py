"""Masked language modelling: some tokens are hidden, and the model says what they were.

    chosen     15 % of the tokens, [CLS], [SEP] and padding never
    of these   80 % become [MASK], 10 % a random token, 10 % stay; all are asked for

Which ones are hidden is drawn anew each time a text is seen (RoBERTa's dynamic masking).

Legend: B batch, T token.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from leanformer.data import IGNORE, Batch, Encoded

_MASKED, _RANDOM = 0.8, 0.1  # of the chosen tokens; the rest stay


@dataclass(frozen=True, kw_only=True)
class Masking:
    """How tokens are hidden.

    Attributes:
        mask: Id of the mask token.
        vocabulary: Number of token ids.
        special: Ids that are never chosen.
        share: Probability of each other token to be chosen.
    """

    mask: int
    vocabulary: int
    special: tuple[int, ...]
    share: float = 0.15

    def batch(self, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        """`batch` with tokens hidden, and what they were as its labels."""
        ids_BT = batch.inputs["input_ids"]
        free_BT = batch.inputs["attention_mask"].bool()
        free_BT = free_BT & ~torch.isin(ids_BT, torch.tensor(self.special, device=ids_BT.device))
        hidden_BT, labels_BT = masked(
            ids_BT, free_BT, self.mask, self.vocabulary, self.share, generator
        )
        return replace(batch, inputs={**batch.inputs, "input_ids": hidden_BT}, labels=labels_BT)

    def encoded(self, encoded: Encoded, seed: int = 0) -> Encoded:
        """`encoded` with tokens hidden once and for all, for evaluation."""
        generator = torch.Generator().manual_seed(seed)
        rows, labels = [], []
        for index, row in enumerate(encoded.rows):
            batch = self.batch(encoded.batch([index]), generator)
            assert batch.labels is not None
            rows.append({**row, "input_ids": batch.inputs["input_ids"][0].tolist()})
            labels.append(batch.labels[0].tolist())
        return Encoded(rows, labels, encoded.padding, encoded.truncated, encoded.kind)


def masking(tokenizer: Any, share: float = 0.15) -> Masking:
    """The masking of a tokenizer.

    Raises:
        ValueError: It has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise ValueError(
            f"{type(tokenizer).__name__} has no mask token: its model is no masked language model"
        )
    return Masking(
        mask=tokenizer.mask_token_id,
        vocabulary=len(tokenizer),
        special=special_ids(tokenizer),
        share=share,
    )


def special_ids(tokenizer: Any) -> tuple[int, ...]:
    """Ids of tokens that are not text: those with a role, such as [CLS], and all others that were
    added as special ones, which `all_special_ids` does not know unless they were given a role.
    """
    added = tokenizer.added_tokens_decoder.items()
    return tuple(sorted({*tokenizer.all_special_ids, *(n for n, one in added if one.special)}))


def masked(
    ids_BT: Tensor,
    free_BT: Tensor,
    mask: int,
    vocabulary: int,
    share: float = 0.15,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Inputs with tokens hidden, and labels: the hidden tokens, IGNORE elsewhere.

    Args:
        ids_BT: Token ids.
        free_BT: True where a token may be chosen.
        mask: Id of the mask token.
        vocabulary: Number of token ids, of which random ones are drawn.
        share: Probability of each free token to be chosen.
        generator: Where chance comes from, on the CPU; None = torch's own.
    """

    def uniform() -> Tensor:
        return torch.rand(ids_BT.shape, generator=generator).to(ids_BT.device)

    chosen_BT = free_BT & (uniform() < share)
    fate_BT = uniform()
    drawn_BT = torch.randint(vocabulary, ids_BT.shape, generator=generator).to(ids_BT.device)
    shown_BT = ids_BT.masked_fill(chosen_BT & (fate_BT < _MASKED), mask)
    random_BT = chosen_BT & (fate_BT >= _MASKED) & (fate_BT < _MASKED + _RANDOM)
    return torch.where(random_BT, drawn_BT, shown_BT), ids_BT.masked_fill(~chosen_BT, IGNORE)
