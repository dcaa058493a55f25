"""Quantized models on disk: what config.json says of them, and transformers' own way to load them.

    "quantization_config": {
        "quant_method": "leanformer",
        "form": "latent",                        or "packed"
        "layers": {"bert.encoder.layer.0.output.dense": {"use": "ternary"}, …},
        "activations": {"use": "moving-average"}, "clip": 2.5 }

    latent   float weights, rounded in every forward; all buffers: training goes on where it was
    packed   integer codes and scales (`leanformer.quantize.packed`); loaded into plain layers

`import leanformer` leaves a note for transformers (`leanformer.models.import_hook`), and `register`
is called when transformers has its table of quantizers, in the middle of its own import. So nothing
here imports that part of transformers before it is asked for.
"""

import sys
from functools import cache
from typing import Any

from transformers.utils.quantization_config import QuantizationConfigMixin

from leanformer.quantize.packed import hold_codes, unpack
from leanformer.quantize.swap import METHOD, swap_described

AUTO = "transformers.quantizers.auto"


class QuantizationSettings(QuantizationConfigMixin):
    """What config.json says under `quantization_config`."""

    def __init__(
        self,
        form: str,
        layers: dict[str, Any],
        activations: dict[str, Any] | None = None,
        clip: float | None = None,
        **_: Any,
    ) -> None:
        """Keep the values as JSON has them.

        Raises:
            ValueError: `form` is not known to this version.
        """
        if form not in ("latent", "packed"):
            raise ValueError(
                f"config.json: quantization_config.form is {form!r}, which is neither 'latent' nor "
                "'packed'; a newer leanformer may know it"
            )
        self.quant_method: Any = METHOD
        self.form, self.layers, self.activations, self.clip = form, layers, activations, clip


@cache
def quantizer_class() -> type[Any]:
    """What puts the layers in place before the weights are read, and plain ones after a packed
    form.
    """
    from transformers.quantizers.base import HfQuantizer

    class LeanQuantizer(HfQuantizer):
        """Loads models that were quantized by leanformer."""

        quantization_config: QuantizationSettings

        def is_serializable(self) -> bool:
            """A quantized model is saved by `save_pretrained` like any other."""
            return True

        @property
        def is_trainable(self) -> bool:
            """Latent weights are trained; unpacked ones are plain."""
            return True

        def _process_model_before_weight_loading(self, model: Any, **_: Any) -> None:
            settings = self.quantization_config
            put = hold_codes if settings.form == "packed" else swap_described
            settings.layers = put(model, settings.to_dict())

        def _process_model_after_weight_loading(self, model: Any, **_: Any) -> Any:
            settings = self.quantization_config.to_dict()
            self.remove_quantization_config(model)  # what is left is a model like any other
            if settings["form"] == "packed":
                unpack(model, settings)
            else:
                model.config.quantization_config = settings
            return model

    return LeanQuantizer


def register() -> None:
    """Make the form known to transformers; again is the same as once."""
    tables: Any = sys.modules[AUTO]
    tables.AUTO_QUANTIZATION_CONFIG_MAPPING[METHOD] = QuantizationSettings
    tables.AUTO_QUANTIZER_MAPPING[METHOD] = quantizer_class()
