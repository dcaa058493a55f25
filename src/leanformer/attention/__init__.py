"""Efficient attention: which tokens see each other, and at what cost.

    from leanformer.attention import Heads, SlidingWindow, GlobalTokens

    mechanism = SlidingWindow(left=256, right=256) | GlobalTokens(tokens=(0,))
    attention = mechanism.build(Heads(num_heads=12, num_kv_heads=12, head_dim=64))

Patterns tell from places what is seen and join with `|`; the mechanisms choose by content, or
replace the softmax by something cheaper.
"""

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.attention.mechanisms import (
    LSH,
    Clustered,
    ImprovedClustered,
    Linear,
    Linformer,
    Nystrom,
    Performer,
    PerformerRelu,
    Routing,
    Sinkhorn,
    Synthesizer,
)
from leanformer.attention.patterns import (
    BlockWindow,
    Blockwise,
    Fixed,
    GlobalTokens,
    RandomBlocks,
    SlidingWindow,
    Strided,
    Union,
)
from leanformer.attention.patterns.pattern import Pattern

__all__ = [
    "LSH",
    "Attention",
    "BlockWindow",
    "Blockwise",
    "Capabilities",
    "Clustered",
    "Cost",
    "Fixed",
    "GlobalTokens",
    "Heads",
    "ImprovedClustered",
    "Linear",
    "Linformer",
    "Mechanism",
    "Nystrom",
    "Pattern",
    "Performer",
    "PerformerRelu",
    "RandomBlocks",
    "Routing",
    "Sinkhorn",
    "SlidingWindow",
    "Strided",
    "Synthesizer",
    "Union",
]

STEPS = (
    "extend_positions.ExtendPositions",
    "attend.Attend",
)
"""What recipes may do to attention; see `leanformer.core.step`."""
