"""Linear layers and embeddings that carry their int8 scales: training and runtimes round alike.

    y_BTO = FQ(x_BTI ⊘ s_I) · FQ(W_OI ⊙ s_I)ᵀ + b_O          FQ = fake quantization (see `grid`)

Queries and keys may round their output as well: `FQ(y_BTO)`, for a product of two activations.
The activation grid is one scale for the tensor, the weight grid one per output row: what integer
kernels can multiply. `s` moves difficulty from activations to weights (SmoothQuant, Xiao et al.
2023, arXiv:2211.10438); it is 1 by default. The row scales follow the weight as it changes, unless
they are given: a weight that lies on a coarser grid already (ternary, four bits) is exact in int8
rows of its own step. The scales are buffers: they are saved with the model,
and an exporter turns each rounding into a FakeQuantize node.

Legend: B batch, T token, I in, O out, V vocabulary, D model width.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.numerics.grid import Grid, row_grid


class FakeQuantLinear(nn.Module):
    """A linear layer that rounds its input and its weight to int8 grids."""

    input_scale: Tensor
    input_zero_point: Tensor
    smooth: Tensor
    rows: Tensor | None
    output_scale: Tensor | None

    def __init__(
        self,
        linear: nn.Linear,
        grid: Grid,
        smooth: Tensor | None = None,
        rows: Tensor | None = None,
        output: Grid | None = None,
    ) -> None:
        """Wrap `linear`.

        Args:
            linear: The layer; its weight and bias are shared, not copied.
            grid: The grid of the input, one scale for the whole tensor.
            smooth: Divides the input and multiplies the weight, channel by channel; 1 when absent.
            rows: The step of each weight row, [out]; from the largest value of the row when absent.
            output: A symmetric grid that the output is rounded to, where the next product is of
                integers too.
        """
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        device = self.weight.device
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.low, self.high = grid.low, grid.high
        self.smoothed = smooth is not None
        self.register_buffer("input_scale", grid.scale.detach().to(device).float())
        self.register_buffer("input_zero_point", grid.zero_point.to(device, torch.int32))
        if smooth is None:
            smooth = torch.ones(self.in_features, device=device)
        self.register_buffer("smooth", smooth)
        self.register_buffer("rows", rows)
        self.register_buffer("output_scale", None if output is None else output.scale.detach())
        self.output_ends = (0, 0) if output is None else (output.low, output.high)
        self.held: Tensor | None = None

    def rounded(self) -> Tensor:
        """The weight, smoothed and on its grid, [out, in]."""
        weight_OI = self.weight * self.smooth if self.smoothed else self.weight
        return _fake_rows(weight_OI, self.rows)

    def forward(self, x: Tensor) -> Tensor:
        """The output with both factors rounded; gradients pass straight through in range."""
        if self.smoothed:
            x = x * (1 / self.smooth)
        x = torch.fake_quantize_per_tensor_affine(
            x, self.input_scale, self.input_zero_point, self.low, self.high
        )
        y = F.linear(x, self.rounded() if self.held is None else self.held, self.bias)
        if self.output_scale is None:
            return y
        zero = torch.zeros_like(self.output_scale, dtype=torch.int32)
        return torch.fake_quantize_per_tensor_affine(y, self.output_scale, zero, *self.output_ends)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"{self.in_features}, {self.out_features}, int8, smoothed={self.smoothed}"


class FakeQuantEmbedding(nn.Module):
    """An embedding table whose rows are rounded to int8: a quarter of the size on disk."""

    rows: Tensor | None

    def __init__(self, embedding: nn.Embedding, rows: Tensor | None = None) -> None:
        """Wrap `embedding`; its weight is shared, not copied.

        Args:
            embedding: The table.
            rows: The step of each row, [vocabulary]; from its largest value when absent.
        """
        super().__init__()
        self.weight = embedding.weight
        self.num_embeddings, self.embedding_dim = embedding.weight.shape
        self.padding_idx = embedding.padding_idx
        self.register_buffer("rows", rows)
        self.held: Tensor | None = None

    def rounded(self) -> Tensor:
        """The table on its grid, [vocabulary, width]."""
        return _fake_rows(self.weight, self.rows)

    def forward(self, ids: Tensor) -> Tensor:
        """The rounded rows of `ids`."""
        return F.embedding(ids, self.rounded() if self.held is None else self.held)


def count_fake_quantized(model: nn.Module) -> int:
    """Number of linear layers of `model` that carry int8 scales."""
    return sum(isinstance(module, FakeQuantLinear) for module in model.modules())


def count_integer_attention(model: nn.Module) -> int:
    """Number of attentions of `model` that multiply queries and keys which are both rounded."""
    rounding = [
        name
        for name, module in model.named_modules()
        if isinstance(module, FakeQuantLinear) and module.output_scale is not None
    ]
    parents = Counter(name.rpartition(".")[0] for name in rounding)
    return sum(count == 2 for count in parents.values())


@contextmanager
def rounded_once(model: nn.Module) -> Iterator[None]:
    """Hold all rounded weights of `model`, for many passes in which no weight changes.

    For short texts rounding takes ten times as long as the products.
    """
    layers = [m for m in model.modules() if isinstance(m, FakeQuantLinear | FakeQuantEmbedding)]
    try:
        for layer in layers:
            layer.held = layer.rounded().detach()
        yield
    finally:
        for layer in layers:
            layer.held = None


def _fake_rows(weight_OI: Tensor, rows: Tensor | None) -> Tensor:
    grid = row_grid(weight_OI)
    scale = grid.scale if rows is None else rows
    return torch.fake_quantize_per_channel_affine(
        weight_OI, scale, grid.zero_point, 0, grid.low, grid.high
    )
