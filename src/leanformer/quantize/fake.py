"""Layers that round their weight in every forward: training sees what will be stored.

    forward     ŵ = Q(clamp(w, -c, c))          y = x̂ ŵᵀ + b
    backward    ∂L/∂w = ∂L/∂ŵ  where |w| < c,  0 elsewhere            straight through; c may be ∞

`w` is the latent weight in full precision, a parameter of the same name as before, so that the one
loop trains it and a checkpoint holds it. Q is any `Quantizer`. For loss-aware quantizers the layer
keeps the statistic that Adam would: v ← β₂ v + (1 - β₂) g², g = ∂L/∂ŵ, as a buffer that is saved.
It is gathered in the backward pass and not read from the optimizer, which a layer does not know: it
is the same up to the clipping of gradients, and where a batch is accumulated each part counts as
one. Such quantizers use only the ratios of v within a weight.

Legend: O out, I in, N ids that differ, D model width.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.numerics import over_ranks
from leanformer.numerics.blocks import Quantized
from leanformer.quantize.activations.activations import Rounding
from leanformer.quantize.quantizer import Quantizer, WeightStatistics

_BETA2 = 0.999  # Adam's


def straight_through(weight: Tensor, rounded: Tensor, clip: float | None = None) -> Tensor:
    """`rounded`, bit by bit, with the gradient handed to `weight` where it lies within ±`clip`."""
    if not (torch.is_grad_enabled() and weight.requires_grad):
        return rounded
    result: Tensor = _StraightThrough.apply(weight, rounded, clip)
    return result


class RoundedWeight(nn.Module, ABC):
    """A layer with a latent weight [O, I] that is rounded when it is used.

    Attributes:
        weight: The latent weight.
        quantizer: What rounds it; None = it lies on its grid already and is used as it is.
        clip: Latent values beyond ±clip are clipped and get no gradient.
        second_moment: Running mean of squared gradients of the rounded weight, [O, I], where the
            quantizer asks for it; 0 before the first backward.
    """

    second_moment: Tensor | None

    def __init__(self, layer: Any, quantizer: Quantizer | None, clip: float | None) -> None:
        super().__init__()
        self.weight: nn.Parameter = layer.weight
        self.quantizer, self.clip = quantizer, clip
        gathers = quantizer is not None and quantizer.uses_second_moment
        moment = torch.zeros_like(self.weight, requires_grad=False) if gathers else None
        self.register_buffer("second_moment", moment)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The layer with its weight rounded."""

    def quantized(self) -> Quantized:
        """The weight in integers, as it is now.

        Raises:
            ValueError: The weight cannot be quantized (it is not finite).
        """
        assert self.quantizer is not None, "the codes of this weight are not known any more"
        return self.quantizer.quantize(self._clipped(self.weight.detach()), self._statistics())

    def rounded(self) -> Tensor:
        """The weight that is multiplied with; its gradient goes to the latent weight."""
        if self.quantizer is None:
            return self.weight
        dequantized = self.quantized().dequantized().to(self.weight.dtype)
        rounded = straight_through(self.weight, dequantized, self._binding())
        if self.second_moment is not None and rounded.requires_grad:
            rounded.register_hook(self._gather)
        return rounded

    def _clipped(self, weight_OI: Tensor) -> Tensor:
        return weight_OI if self.clip is None else weight_OI.clamp(-self.clip, self.clip)

    def _binding(self) -> float | None:
        """The clip, where a weight lies beyond it: mostly none does, and no mask is needed."""
        low, high = (float(end) for end in self.weight.detach().aminmax())
        return self.clip if self.clip is not None and max(-low, high) >= self.clip else None

    def _statistics(self) -> WeightStatistics | None:
        if self.second_moment is None or not self.second_moment.any():
            return None
        return WeightStatistics(second_moment_OI=self.second_moment)

    def _gather(self, gradient_OI: Tensor) -> None:
        assert self.second_moment is not None
        gradient_OI = over_ranks.added(gradient_OI)
        moment = self.second_moment.mul_(_BETA2)
        moment.addcmul_(gradient_OI, gradient_OI, value=1 - _BETA2)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        rows, columns = self.weight.shape
        clip = "" if self.clip is None else f", clip={self.clip:g}"
        return f"{rows} x {columns}, {self.quantizer}{clip}"


class QATLinear(RoundedWeight):
    """A linear layer that rounds its weight, and its input if it is told how."""

    def __init__(
        self,
        linear: nn.Linear,
        quantizer: Quantizer | None,
        activations: Rounding | None = None,
        clip: float | None = None,
    ) -> None:
        """Take the place of `linear`, whose weight and bias are shared, not copied."""
        super().__init__(linear, quantizer, clip)
        self.bias = linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.activations = activations

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] → [..., O]."""
        if self.activations is not None:
            x = self.activations(x)
        return F.linear(x, self.rounded(), self.bias)


class QATEmbedding(RoundedWeight):
    """An embedding table whose rows are rounded; what is looked up is not rounded again."""

    def __init__(
        self, embedding: nn.Embedding, quantizer: Quantizer | None, clip: float | None = None
    ) -> None:
        """Take the place of `embedding`, whose weight is shared, not copied."""
        super().__init__(embedding, quantizer, clip)
        self.num_embeddings, self.embedding_dim = embedding.weight.shape
        self.padding_idx = embedding.padding_idx

    def forward(self, x: Tensor) -> Tensor:
        """Ids [...] → rows [..., D]; where rows are rounded one by one, only those looked up."""
        if self.quantizer is None or not self.quantizer.by_row:
            return F.embedding(x, self.rounded(), self.padding_idx)
        ids_N, places = x.unique(return_inverse=True)
        latent_ND = F.embedding(ids_N, self.weight, self.padding_idx)
        codes = self.quantizer.quantize(self._clipped(latent_ND.detach()))
        dequantized_ND = codes.dequantized().to(latent_ND.dtype)
        return F.embedding(places, straight_through(latent_ND, dequantized_ND, self.clip))


def float_linear(weight_OI: Tensor, bias: nn.Parameter | None) -> nn.Linear:
    """A plain linear layer with this weight."""
    rows, columns = weight_OI.shape
    with torch.device("meta"):  # nothing is drawn at random that is replaced at once
        layer = nn.Linear(columns, rows, bias=bias is not None)
    layer.weight = nn.Parameter(weight_OI)
    if bias is not None:
        layer.bias = bias
    return layer


def rounded_layers(model: nn.Module) -> dict[str, RoundedWeight]:
    """The layers of `model` that round their weight, by name."""
    return {n: m for n, m in model.named_modules() if isinstance(m, RoundedWeight)}


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, weight: Tensor, rounded: Tensor, clip: float | None) -> Tensor:
        context.save_for_backward(weight)
        context.clip = clip
        return rounded

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        (weight,) = context.saved_tensors
        if context.clip is not None:
            gradient = gradient * (weight.abs() < context.clip)
        return gradient, None, None
