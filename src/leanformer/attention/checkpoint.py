"""Models with a mechanism of attention on disk: transformers puts it in place before the weights.

    "quantization_config": {
        "quant_method": "leanformer-attention",
        "layers": {"encoder.layer.0.attention.self": {
            "mechanism": {"use": "sliding-window", "left": 256, …}, "heads": {…}}, …}}

transformers has one door for forms of a model that are made before its weights are read, and calls
it quantization; nothing is rounded here. A model that was saved this way does not load without
`import leanformer`, instead of attending densely in silence.
"""

import sys
from functools import cache
from typing import Any

from transformers.utils.quantization_config import QuantizationConfigMixin

AUTO = "transformers.quantizers.auto"
METHOD = "leanformer-attention"


class AttentionSettings(QuantizationConfigMixin):
    """What config.json says of the mechanisms."""

    def __init__(self, layers: dict[str, Any], **_: Any) -> None:
        """Keep the values as JSON has them."""
        self.quant_method: Any = METHOD
        self.layers = layers


@cache
def quantizer_class() -> type[Any]:
    """What puts the mechanisms in place."""
    from transformers.quantizers.base import HfQuantizer

    class AttentionForm(HfQuantizer):
        """Loads models whose attention was replaced by leanformer."""

        quantization_config: AttentionSettings

        def is_serializable(self) -> bool:
            """It is saved by `save_pretrained` like any other."""
            return True

        @property
        def is_trainable(self) -> bool:
            """All weights are plain."""
            return True

        def _process_model_before_weight_loading(self, model: Any, **_: Any) -> None:
            from leanformer.attention.attach import attach_described  # transformers is there now

            attach_described(model, self.quantization_config.layers)

        def _process_model_after_weight_loading(self, model: Any, **_: Any) -> Any:
            settings = self.quantization_config.to_dict()
            self.remove_quantization_config(model)
            model.config.quantization_config = settings
            return model

    return AttentionForm


def register() -> None:
    """Make the form known to transformers; again is the same as once."""
    tables: Any = sys.modules[AUTO]
    tables.AUTO_QUANTIZATION_CONFIG_MAPPING[METHOD] = AttentionSettings
    tables.AUTO_QUANTIZER_MAPPING[METHOD] = quantizer_class()
