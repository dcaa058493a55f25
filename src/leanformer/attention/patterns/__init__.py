"""Every pattern of attention there is."""

from leanformer.attention.pattern import Union
from leanformer.attention.patterns.block_window import BlockWindow
from leanformer.attention.patterns.blockwise import Blockwise
from leanformer.attention.patterns.fixed import Fixed
from leanformer.attention.patterns.global_tokens import GlobalTokens
from leanformer.attention.patterns.random_blocks import RandomBlocks
from leanformer.attention.patterns.sliding_window import SlidingWindow
from leanformer.attention.patterns.strided import Strided

__all__ = [
    "BlockWindow",
    "Blockwise",
    "Fixed",
    "GlobalTokens",
    "RandomBlocks",
    "SlidingWindow",
    "Strided",
    "Union",
]
