"""Unions of patterns that papers gave a name, and what `leanformer attention bench` runs."""

from leanformer.attention.mechanism import Mechanism
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
)
from leanformer.attention.patterns.pattern import Pattern


def longformer(window: int = 512, tokens: tuple[int, ...] = (0,)) -> Pattern:
    """Longformer (Beltagy et al. 2020, arXiv:2004.05150): a window and a few global tokens.

    Args:
        window: Tokens on both sides together, an even number, as its `attention_window` counts.
        tokens: Places of the global tokens.

    Raises:
        ValueError: The window is odd.
    """
    if window % 2:
        raise ValueError(f"window: {window} cannot be halved; give an even number")
    return SlidingWindow(left=window // 2, right=window // 2) | GlobalTokens(tokens=tokens)


def bigbird(
    block_size: int = 64, window: int = 3, num_random_blocks: int = 3, seed: int = 0
) -> Pattern:
    """BigBird (Zaheer et al. 2020, arXiv:2007.14062): window, global and random blocks.

    The first block is global; a text's last block, global in the paper too, is seen through its
    neighbours alone.

    Args:
        block_size: Tokens of a block.
        window: Blocks of the window, the own one in the middle: an odd number.
        num_random_blocks: Random blocks that each block sees.
        seed: Of the draw.

    Raises:
        ValueError: The window has no middle.
    """
    if window % 2 == 0:
        raise ValueError(f"window: {window} blocks have no middle; give an odd number")
    return (
        BlockWindow(block_size=block_size, reach=window // 2)
        | GlobalTokens(tokens=tuple(range(block_size)))
        | RandomBlocks(num_random_blocks=num_random_blocks, block_size=block_size, seed=seed)
    )


def mechanisms() -> dict[str, Mechanism]:
    """Each mechanism with the settings that its paper or most of its users take, by name."""
    return {
        "sliding-window": SlidingWindow(),
        "longformer": longformer(),
        "bigbird": bigbird(),
        "strided": Strided(),
        "fixed": Fixed(),
        "blockwise": Blockwise(),
        "lsh": LSH(),
        "routing": Routing(),
        "clustered": Clustered(),
        "improved-clustered": ImprovedClustered(),
        "linformer": Linformer(),
        "nystrom": Nystrom(),
        "sinkhorn": Sinkhorn(),
        "synthesizer": Synthesizer(scores="factorized-random"),
        "linear": Linear(),
        "performer": Performer(),
        "performer-relu": PerformerRelu(),
    }
