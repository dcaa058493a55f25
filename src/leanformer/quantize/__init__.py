"""Store and multiply numbers of fewer bits."""

STEPS = (
    "quantize_aware.QuantizeAware",
    "weight_only.WeightOnly",
    "int8.Int8",
    "pack.Pack",
)
"""What recipes may do to round a model; see `leanformer.core.step`."""
