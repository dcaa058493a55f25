"""Sparse models on disk: zeros are not stored, and are restored on loading.

    "model_type": "leanformer-bert",
    "quantization_config": {
        "stored_as": "leanformer-sparse",
        "layers": {"bert.encoder.layer.0.output.dense": 88472, …} }          values of each matrix

Nothing is rounded. `leanformer.models.lean.stored_form` explains why the entry is in this place.
"""

from typing import Any

from leanformer.models.lean.stored_form import StoredForm
from leanformer.prune.sparse.sparse_weights import METHOD, read_sparse, to_dense


class SparseForm(StoredForm):
    """Models that leanformer stored without their zeros."""

    method = METHOD

    def __init__(self, layers: dict[str, int], **_: Any) -> None:
        """Take the values from config.json."""
        super().__init__()
        self.layers = layers

    def before_weights(self, model: Any) -> None:
        """See `StoredForm.before_weights`."""
        read_sparse(model, self.layers)

    def after_weights(self, model: Any) -> None:
        """See `StoredForm.after_weights`; the model is dense again, and is saved dense."""
        to_dense(model)
