"""Quantized models on disk: what config.json says of them, and what they are loaded as.

    "model_type": "leanformer-bert",
    "quantization_config": {
        "stored_as": "leanformer",
        "form": "latent",                        or "packed"
        "layers": {"bert.encoder.layer.0.output.dense": {"use": "ternary"}, …},
        "activations": {"use": "moving-average"}, "clip": 2.5 }

    latent   float weights, rounded in every forward; all buffers: training goes on where it was
    packed   integer codes and scales (`leanformer.quantize.packed`); loaded into plain layers

How transformers is made to load them is told in `leanformer.models.lean.stored_form`.
"""

from typing import Any

from leanformer.core.codec import encode
from leanformer.models.lean.stored_config import mark_stored
from leanformer.models.lean.stored_form import StoredForm
from leanformer.quantize.packed import hold_codes, unpack
from leanformer.quantize.swap import METHOD, activations_of, swap_described


class QuantizedForm(StoredForm):
    """Models that were quantized by leanformer."""

    method = METHOD

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
        super().__init__()
        if form not in ("latent", "packed"):
            raise ValueError(
                f"config.json: quantization_config.form is {form!r}, which is neither 'latent' nor "
                "'packed'; a newer leanformer may know it"
            )
        self.form, self.layers, self.activations, self.clip = form, layers, activations, clip

    def before_weights(self, model: Any) -> None:
        """See `StoredForm.before_weights`; settings by old names are kept by their present ones."""
        activations = activations_of(self.to_dict())
        self.activations = None if activations is None else encode(activations)
        put = hold_codes if self.form == "packed" else swap_described
        self.layers = put(model, self.to_dict())

    def after_weights(self, model: Any) -> None:
        """What was packed is a model like any other; what is latent goes on rounding."""
        if self.form == "packed":
            unpack(model, self.to_dict())
        else:
            mark_stored(model.config, self.to_dict())
