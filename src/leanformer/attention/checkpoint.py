"""Models with a mechanism of attention on disk: it is put in place before the weights.

    "model_type": "leanformer-bert",
    "quantization_config": {
        "stored_as": "leanformer-attention",
        "layers": {"encoder.layer.0.attention.self": {
            "mechanism": {"use": "sliding-window", "left": 256, …}, "heads": {…}}, …}}

Nothing is rounded; why it stands there is told in `leanformer.models.stored_form`.
"""

from typing import Any

from leanformer.models.stored_config import mark_stored
from leanformer.models.stored_form import StoredForm

METHOD = "leanformer-attention"


class AttentionForm(StoredForm):
    """Models whose attention was replaced by leanformer."""

    method = METHOD

    def __init__(self, layers: dict[str, Any], **_: Any) -> None:
        """Keep the values as JSON has them."""
        super().__init__()
        self.layers = layers

    def before_weights(self, model: Any) -> None:
        """See `StoredForm.before_weights`."""
        from leanformer.attention.interface import attach_described  # transformers is there now

        attach_described(model, self.layers)

    def after_weights(self, model: Any) -> None:
        """The mechanisms stay, and are saved again."""
        mark_stored(model.config, self.to_dict())
