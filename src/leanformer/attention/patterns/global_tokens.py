"""Global tokens: a few places that see every token and are seen by every token.

    t sees s  iff  t in G  or  s in G          (causal: s <= t)

What one token says reaches every other in two steps. The tokens of a text's beginning are places
0, 1, ...: `[CLS]`, a question before its context, or extra tokens put there for that (ETC).
"""

import torch
from torch import Tensor

from leanformer.attention.heads import Heads
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.patterns.pattern import Pattern, Role
from leanformer.core.ranges import Index
from leanformer.core.technique import technique


@technique("global-tokens", paper="Beltagy et al. 2020 (Longformer), arXiv:2004.05150")
class GlobalTokens(Pattern):
    """See and be seen by all, for a few tokens: what a classifier reads must be one of them."""

    tokens: tuple[Index, ...] = (0,)
    """Places from the beginning of the text; a text that ends before one does without it."""

    def __post_init__(self) -> None:
        if not self.tokens:
            raise ValueError(
                "tokens: none is named; name one or more places, counted from 0 at the beginning"
            )

    @property
    def roles(self) -> frozenset[Role]:
        """See `Pattern.roles`."""
        return frozenset({"first-token"} if 0 in self.tokens else ())

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        places = torch.tensor(sorted(set(self.tokens)), device=grid.device)

        def mask_mod(query: Tensor, key: Tensor) -> Tensor:
            return torch.isin(query, places) | torch.isin(key, places)

        tokens = tuple(sorted(set(self.tokens)))
        return (Layout(mask_mod=mask_mod, global_keys=tokens, global_queries=tokens),)

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`."""
        count = sum(place < length for place in set(self.tokens))
        whole = count + count * (length - count) / length
        return whole / 2 if heads.causal else whole
