"""How a causal language model predicts a text: the log likelihood of each token given those before.

    l_t = log softmax(z_t)[x_{t+1}]          over the t whose next token is real

Labels are shifted the same way: the label at position t is token t+1, and the last token has none.

Legend: B batch, T token, V vocabulary; x token ids, z logits.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.numerics.widen import widened

UNPREDICTED = math.inf
"""The mark of a place where no token is predicted, which no log likelihood can have; NaN is that of
a broken model."""


def next_log_likelihoods(logits_BTV: Tensor, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Log likelihood of each next token, [B, T], in nats; `UNPREDICTED` where there is none.

    Args:
        logits_BTV: Logits of the model at each token.
        ids_BT: The tokens that it read.
        mask_BT: 1 at real tokens, on whichever side the padding is.
    """
    dtype = torch.promote_types(logits_BTV.dtype, torch.float32)
    found_BT = torch.full(ids_BT.shape, UNPREDICTED, device=ids_BT.device, dtype=dtype)
    for row, (logits_TV, ids_T) in enumerate(zip(logits_BTV, ids_BT, strict=True)):  # V is large
        loss_T = F.cross_entropy(widened(logits_TV[:-1]), ids_T[1:], reduction="none")
        found_BT[row, :-1] = -loss_T
    asked_BT = mask_BT.bool()
    asked_BT = asked_BT & asked_BT.roll(-1, dims=1)
    asked_BT[:, -1] = False
    return found_BT.masked_fill(~asked_BT, UNPREDICTED)
