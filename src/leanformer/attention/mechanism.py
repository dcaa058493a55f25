"""The interface of attention mechanisms: a frozen recipe that builds a module for given heads.

    mechanism = SlidingWindow(left=256, right=256) | GlobalTokens(tokens=(0,))
    attention = mechanism.build(Heads(num_heads=12, num_kv_heads=12, head_dim=64))
    mixed_BHTD = attention(query_BHTD, key_BJSD, value_BJSD, keep_BS)

What every built module keeps, and one suite of tests demands (`tests/attention/test_contract.py`):

- it equals its `reference`, the same mechanism written densely or quadratically;
- places that `keep` hides are as if they were not there: neither what stands in them nor how many
  there are changes the output of another place, on whichever side they are;
- neither do the other texts of the batch, nor torch's global random state;
- when causal, nothing of a later token reaches an earlier one, unless `Capabilities` says so;
- a row that sees no key is 0, and its gradients are finite.

Legend: B batch, H head, J key head, T token, S key token, D head width.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.positions import at_places, each_head, text_first, unless_whole


class Mechanism(ABC):
    """How the tokens of a text attend to each other."""

    family: ClassVar[str] = "mechanism"
    capabilities: ClassVar[Capabilities] = Capabilities()

    @abstractmethod
    def build(self, heads: Heads) -> "Attention":
        """The mechanism as a module for a layer with these heads.

        Raises:
            ValueError: The layer asks for what the mechanism cannot do.
        """

    @abstractmethod
    def cost(self, heads: Heads, length: int) -> Cost:
        """What one head costs for a text of `length` tokens."""

    def check(self, heads: Heads) -> None:
        """Refuse heads that the mechanism cannot serve; what `build` begins with.

        Raises:
            ValueError: They are causal and it is not, or it needs to know the longest text.
        """
        name = getattr(self, "technique", type(self).__name__)
        if heads.causal and self.capabilities.causal == "no":
            raise ValueError(
                f"{name}: the layer is causal and this mechanism mixes all tokens; "
                "choose one whose capabilities say causal"
            )
        if self.capabilities.fixed_length and heads.max_length is None:
            raise ValueError(
                f"{name}: it has one parameter a place; give Heads(max_length=...), "
                "the tokens of the longest text"
            )


class Attention(nn.Module, ABC):
    """A built mechanism. `forward` sees to shapes, shared keys and padding; a mechanism fills in
    `reference` and `efficient`."""

    position_dependent: ClassVar[bool] = True
    """Whether outputs depend on how far a token is from the beginning of its text, and not only
    on how far from another."""
    data_dependent: ClassVar[bool] = False
    """Whether which tokens are seen depends on what they are, so that rounding may change it."""

    def __init__(self, heads: Heads, capabilities: Capabilities) -> None:
        super().__init__()
        self.heads = heads
        self.capabilities = capabilities

    @abstractmethod
    def reference(
        self,
        query_BHTD: Tensor,
        key_BHSD: Tensor,
        value_BHSD: Tensor,
        keep_BS: Tensor,
        at_BT: Tensor,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """The mechanism as its paper writes it, [B, H, T, D], in quadratic time.

        Args:
            query_BHTD: Queries.
            key_BHSD: Keys, one head a query head.
            value_BHSD: Values, as the keys.
            keep_BS: True at keys of the text, False at padding, which stands behind the text unless
                `position_dependent` is False.
            at_BT: Place of each query among the keys: 0..S-1 for a whole text, S-1 for the last.
            scaling: Factor of the scores.
            dropout: Share of the weights that are dropped.
        """

    @abstractmethod
    def efficient(
        self,
        query_BHTD: Tensor,
        key_BHTD: Tensor,
        value_BHTD: Tensor,
        keep_BT: Tensor | None,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """The same for a whole text, [B, H, T, D], in the time that the paper promises."""

    def dense_mask(self, keep_BT: Tensor) -> Tensor | None:
        """The mask under which softmax attention is this mechanism, [B, H or 1, T, T], True where a
        query attends to a key; None = there is none that follows from positions alone.

        Args:
            keep_BT: True at tokens of the text, False at padding on whichever side.
        """
        return None

    def forward(
        self,
        query_BHTD: Tensor,
        key_BJSD: Tensor,
        value_BJSD: Tensor,
        keep_BS: Tensor | None = None,
        *,
        scaling: float | None = None,
        dropout: float = 0.0,
        offset: int | None = None,
    ) -> Tensor:
        """What each token takes from the others, [B, H, T, D].

        Args:
            query_BHTD: Queries.
            key_BJSD: Keys; query head h is served by key head h // (H / J).
            value_BJSD: Values, as the keys.
            keep_BS: True at keys that are there; None = all, as is a mask of ones.
            scaling: Factor of the scores; None = 1 / sqrt(D).
            dropout: Share of the weights that are dropped.
            offset: Place of the first query among the keys, where keys are kept from earlier
                calls; None = the last query stands at the last key.

        Raises:
            ValueError: The shapes do not fit the heads, or the mechanism cannot do what is asked.
        """
        self._check(query_BHTD, key_BJSD, dropout)
        keep_BS = unless_whole(keep_BS)
        if torch.is_autocast_enabled(query_BHTD.device.type):
            return self._under_autocast(
                (query_BHTD, key_BJSD, value_BJSD), keep_BS, scaling, dropout, offset
            )
        scaling = query_BHTD.shape[-1] ** -0.5 if scaling is None else scaling
        tokens, seen = query_BHTD.shape[2], key_BJSD.shape[2]
        offset = seen - tokens if offset is None else offset
        if self.heads.causal and offset + tokens < seen:  # keys of a cache that are not there yet
            seen = offset + tokens
            key_BJSD, value_BJSD = key_BJSD[:, :, :seen], value_BJSD[:, :, :seen]
            keep_BS = None if keep_BS is None else keep_BS[:, :seen]
        groups = self.heads.num_heads // self.heads.num_kv_heads
        key, value = (each_head(x, groups) for x in (key_BJSD, value_BJSD))
        if tokens != seen:
            return self._last(query_BHTD, key, value, keep_BS, offset, scaling, dropout)
        if keep_BS is None or not self.position_dependent:
            return self.efficient(query_BHTD, key, value, keep_BS, scaling=scaling, dropout=dropout)
        order_BS = text_first(keep_BS)
        query, key, value = (at_places(x, order_BS) for x in (query_BHTD, key, value))
        keep = keep_BS.gather(1, order_BS)
        mixed = self.efficient(query, key, value, keep, scaling=scaling, dropout=dropout)
        return at_places(mixed, order_BS.argsort(1))

    def _under_autocast(
        self,
        qkv: tuple[Tensor, Tensor, Tensor],
        keep_BS: Tensor | None,
        scaling: float | None,
        dropout: float,
        offset: int | None,
    ) -> Tensor:
        """The same in the half precision of autocast, or in that of the parameters; autocast itself
        would round the sums and inverses that a mechanism computes wider than it is given."""
        device = qkv[0].device.type
        half = torch.get_autocast_dtype(device)
        own = next((parameter.dtype for parameter in self.parameters()), half)
        query, key, value = (x.to(own) for x in qkv)
        with torch.autocast(device, enabled=False):
            mixed = self(
                query, key, value, keep_BS, scaling=scaling, dropout=dropout, offset=offset
            )
        result: Tensor = mixed.to(half)
        return result

    def _last(
        self,
        query_BHTD: Tensor,
        key: Tensor,
        value: Tensor,
        keep_BS: Tensor | None,
        offset: int,
        scaling: float,
        dropout: float,
    ) -> Tensor:
        """Some tokens against all keys: a step of decoding, or another text's keys."""
        batch, _, tokens, _ = query_BHTD.shape
        if not self.heads.causal and not self.capabilities.cross:
            raise ValueError(
                f"{tokens} queries and {key.shape[2]} keys: this mechanism attends within one "
                "text; leave layers that attend to another one dense"
            )
        if keep_BS is None:
            keep_BS = torch.ones(batch, key.shape[2], dtype=torch.bool, device=key.device)
        at_BT = torch.arange(offset, offset + tokens, device=key.device).expand(batch, -1)
        if self.position_dependent:
            order_BS = text_first(keep_BS)
            key, value = at_places(key, order_BS), at_places(value, order_BS)
            keep_BS = keep_BS.gather(1, order_BS)
            if self.heads.causal:
                at_BT = order_BS.argsort(1).gather(1, at_BT)
        return self.reference(
            query_BHTD, key, value, keep_BS, at_BT, scaling=scaling, dropout=dropout
        )

    def _check(self, query_BHTD: Tensor, key_BJSD: Tensor, dropout: float) -> None:
        found = (query_BHTD.shape[1], key_BJSD.shape[1], query_BHTD.shape[3])
        built = (self.heads.num_heads, self.heads.num_kv_heads, self.heads.head_dim)
        if found != built:
            raise ValueError(
                f"query heads, key heads and head width are {found} and this attention was built "
                f"for {built}"
            )
        if dropout and not self.capabilities.dropout:
            raise ValueError(
                f"dropout: {dropout} of the weights cannot be dropped, this mechanism writes no "
                "weights down; train with dropout = false"
            )
