"""Reversible decoders on disk: the weights of a plain decoder, and a note that they are none.

    "model_type": "leanformer-gpt2",
    "quantization_config": {"stored_as": "leanformer-reversible"}

Nothing is rounded; why the note stands there is told in `leanformer.models.lean.stored_form`.
"""

from typing import Any

from leanformer.models.lean.stored_form import StoredForm
from leanformer.models.reversible.decoder import METHOD, make_reversible


class ReversibleForm(StoredForm):
    """Decoders whose layers are reversible."""

    method = METHOD

    def __init__(self, **_: Any) -> None:
        """There is nothing to be set."""
        super().__init__()

    def before_weights(self, model: Any) -> None:
        """See `StoredForm.before_weights`: names and shapes are those of the plain decoder."""

    def after_weights(self, model: Any) -> None:
        """The layers are reversible, and are saved so again."""
        make_reversible(model)
