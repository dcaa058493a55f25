"""Mean pooling: one vector a text, the mean of its real tokens, of length one.

    e = sum_t m_t h_t / sum_t m_t        then e / ||e||

Legend: B batch, T token, D width.
"""

from torch import Tensor
from torch.nn import functional as F


def mean_pooled(hidden_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Normalised mean of the real tokens' vectors, [B, D]; padding has no share."""
    weights_BT1 = mask_BT.unsqueeze(-1).to(hidden_BTD.dtype)
    mean_BD = (hidden_BTD * weights_BT1).sum(1) / weights_BT1.sum(1).clamp(min=1e-9)
    return F.normalize(mean_BD, dim=-1)
