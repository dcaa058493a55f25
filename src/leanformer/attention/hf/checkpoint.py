"""Models with a mechanism of attention on disk: it is put in place before the weights.

    "model_type": "leanformer-bert",
    "quantization_config": {
        "stored_as": "leanformer-attention",
        "layers": {"encoder.layer.0.attention.self": {
            "mechanism": {"use": "sliding-window", "left": 256, …}, "heads": {…}}, …}}

Nothing is rounded; why it stands there is told in `leanformer.models.lean.stored_form`.
"""

from typing import Any

import torch

from leanformer.attention.heads import Heads
from leanformer.attention.mechanism import Mechanism
from leanformer.core.codec import decode
from leanformer.models.lean.stored_config import mark_stored
from leanformer.models.lean.stored_form import StoredForm

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
        from leanformer.models.attention.interface import MECHANISM, NAME  # transformers is there

        for name, said in self.layers.items():
            with torch.device("cpu"):  # transformers builds models without memory for their weights
                mechanism = decode(Mechanism, said["mechanism"], f"{name}.mechanism")
                core = mechanism.build(decode(Heads, said["heads"], f"{name}.heads"))
            model.get_submodule(name).add_module(MECHANISM, core)
        model.set_attn_implementation(NAME)

    def after_weights(self, model: Any) -> None:
        """The mechanisms stay, and are saved again."""
        mark_stored(model.config, self.to_dict())
