"""What a mechanism is built for, what it can do, and what it costs."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The attention layer that a mechanism is built for."""

    num_heads: int
    """Query heads."""
    num_kv_heads: int
    """Key heads; each serves as many query heads as any other."""
    head_dim: int
    """Width of a head."""
    causal: bool = False
    """Whether a token sees earlier tokens and itself alone."""
    max_length: int | None = None
    """Tokens of the longest text; asked for by mechanisms with one parameter a place."""

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_kv_heads: {self.num_kv_heads} key heads cannot serve {self.num_heads} query "
                "heads evenly; the first must divide the second"
            )


Swap = Literal["keeps", "loses", "ruins", "unmeasured"]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a mechanism can do beyond what all can (padding on any side, grouped key heads)."""

    causal: Literal["exact", "content", "no"] = "exact"
    """"exact": blind to the future; "content": no later value is read, but which earlier ones are
    depends on later tokens; "no": causal layers are refused."""
    cross: bool = False
    """Whether queries and keys may be of different texts."""
    dropout: bool = False
    """Whether single weights can be dropped in training."""
    fixed_length: bool = False
    """Whether its parameters are tied to `Heads.max_length`."""
    learned: bool = False
    """Whether it has parameters of its own, which begin at random or where they change nothing. A
    mechanism without any may need training all the same, see `swap`."""
    swap: Swap = "unmeasured"
    """What it means for a trained model to attend by this mechanism from now on, with nothing
    trained: as we measured it (`leanformer.attention.bench.exchanged`), or "loses" by the equation,
    where the softmax is replaced or keys are chosen by what begins at random. "keeps": its quality
    within noise; "loses": it must be trained with the mechanism, which brings some of the quality
    back or all; "ruins": its answers are close to guesses; "unmeasured": nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Multiplications and additions of one head for one text: what measurements are beside."""

    flops: int
    """Floating point operations of the forward pass."""
    scores: int
    """Scores that exist at a time; 0 where none is written down."""
