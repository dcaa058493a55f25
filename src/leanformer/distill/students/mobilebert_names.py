"""The weights of transformers' MobileBERT under the names of our own body.

transformers nests a layer as attention, intermediate, output, bottleneck and ffn; the body is flat.
The last FFN of a layer is `intermediate` and `output` there, the others `ffn.0`, `ffn.1` …
"""

import re

from torch import Tensor

_NAMES = (
    (r"embeddings\.word_embeddings", "words"),
    (r"embeddings\.position_embeddings", "positions"),
    (r"embeddings\.token_type_embeddings", "types"),
    (r"embeddings\.embedding_transformation", "trigram"),
    (r"embeddings\.LayerNorm", "norm"),
    (r"encoder\.layer\.(\d+)", r"layers.\1"),
    (r"attention\.self\.", ""),
    (r"attention\.output\.dense", "out"),
    (r"attention\.output\.LayerNorm", "out_norm"),
    (r"output\.bottleneck\.dense", "up"),
    (r"output\.bottleneck\.LayerNorm", "up_norm"),
    (r"bottleneck\.input\.dense", "down"),
    (r"bottleneck\.input\.LayerNorm", "down_norm"),
    (r"bottleneck\.attention\.dense", "shared"),
    (r"bottleneck\.attention\.LayerNorm", "shared_norm"),
    (r"ffn\.(\d+)\.intermediate\.dense", r"ffns.\1.widen"),
    (r"ffn\.(\d+)\.output\.dense", r"ffns.\1.narrow"),
    (r"ffn\.(\d+)\.output\.LayerNorm", r"ffns.\1.norm"),
    (r"\.intermediate\.dense", ".ffns.LAST.widen"),
    (r"\.output\.dense", ".ffns.LAST.narrow"),
    (r"\.output\.LayerNorm", ".ffns.LAST.norm"),
)


def body_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of transformers' `MobileBertModel` under the names of `MobileBertBody`.

    The pooler is left out: the body ends at the hidden states.
    """
    stacked = 1 + max(
        (int(found[1]) for key in state if (found := re.search(r"\.ffn\.(\d+)\.", key))), default=-1
    )
    renamed = {}
    for key, value in state.items():
        if not key.startswith("pooler."):
            for theirs, ours in _NAMES:
                key = re.sub(theirs, ours, key)
            renamed[key.replace("LAST", str(stacked))] = value
    return renamed
