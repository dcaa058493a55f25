"""Sparse models on disk: zeros are left out, and stand in their places again once loaded.

    "model_type": "leanformer-bert",
    "quantization_config": {
        "stored_as": "leanformer-sparse",
        "layers": {"bert.encoder.layer.0.output.dense": 88472, …} }          values of each matrix

Nothing is rounded; why it stands there is told in `leanformer.models.stored_form`.
"""

from typing import Any

from leanformer.models.stored_form import StoredForm
from leanformer.prune.sparse.sparse_weights import METHOD, read_sparse, to_dense


class SparseForm(StoredForm):
    """Models whose zeros were left out by leanformer."""

    method = METHOD

    def __init__(self, layers: dict[str, int], **_: Any) -> None:
        """Keep the values as JSON has them."""
        super().__init__()
        self.layers = layers

    def before_weights(self, model: Any) -> None:
        """See `StoredForm.before_weights`."""
        read_sparse(model, self.layers)

    def after_weights(self, model: Any) -> None:
        """The model is one like any other, and is saved dense."""
        to_dense(model)
