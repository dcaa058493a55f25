"""Sparse models on disk: what config.json says of them, and transformers' own way to load them.

    "quantization_config": {
        "quant_method": "leanformer-sparse",
        "layers": {"bert.encoder.layer.0.output.dense": 88472, …} }          values of each matrix

transformers calls everything that changes how weights are stored a quantization; nothing is rounded
here. `register` is called when transformers has its table of these forms
(`leanformer.quantize.checkpoint` tells how).
"""

import sys
from functools import cache
from typing import Any

from transformers.utils.quantization_config import QuantizationConfigMixin

from leanformer.prune.sparse_weights import METHOD, densify, place_sparse

AUTO = "transformers.quantizers.auto"


class SparseSettings(QuantizationConfigMixin):
    """What config.json says under `quantization_config`."""

    def __init__(self, layers: dict[str, int], **_: Any) -> None:
        """Keep the values as JSON has them."""
        self.quant_method: Any = METHOD
        self.layers = layers


@cache
def sparse_class() -> type[Any]:
    """What puts containers in place before the weights are read, and plain layers after."""
    from transformers.quantizers.base import HfQuantizer

    class SparseQuantizer(HfQuantizer):
        """Loads models whose zeros were left out by leanformer."""

        quantization_config: SparseSettings

        def is_serializable(self) -> bool:
            """What was loaded is saved by `save_pretrained`, dense, like any other model."""
            return True

        @property
        def is_trainable(self) -> bool:
            """What was loaded is a plain model."""
            return True

        def _process_model_before_weight_loading(self, model: Any, **_: Any) -> None:
            place_sparse(model, self.quantization_config.layers)

        def _process_model_after_weight_loading(self, model: Any, **_: Any) -> Any:
            self.remove_quantization_config(model)  # what is left is a model like any other
            densify(model)
            return model

    return SparseQuantizer


def register() -> None:
    """Make the form known to transformers; again is the same as once."""
    tables: Any = sys.modules[AUTO]
    tables.AUTO_QUANTIZATION_CONFIG_MAPPING[METHOD] = SparseSettings
    tables.AUTO_QUANTIZER_MAPPING[METHOD] = sparse_class()
