"""leanformer makes transformer NLP models small and fast, and proves it on the clock.

Importing it takes no time: torch and transformers are imported by what needs them. All that it does
is to leave a note for transformers, so that models of uneven shape, of few bits, of many zeros,
with attention of another kind and with reversible layers load with `AutoModel….from_pretrained`
like any other.
"""

from typing import Any

from leanformer.core.version import __version__
from leanformer.models.lean.import_hook import install
from leanformer.models.lean.registration import REGISTER

__all__ = ["__version__"]


def _register_forms() -> None:
    from leanformer.attention.hf.checkpoint import AttentionForm
    from leanformer.models.lean.stored_form import register
    from leanformer.models.reversible.checkpoint import ReversibleForm
    from leanformer.prune.sparse.sparse_checkpoint import SparseForm
    from leanformer.quantize.checkpoint import QuantizedForm

    for form in (AttentionForm, QuantizedForm, ReversibleForm, SparseForm):
        register(form)


REGISTER["transformers.quantizers.auto"] = _register_forms
install()


def __getattr__(name: str) -> Any:
    """`leanformer.load` and `leanformer.compress`, imported at first use."""
    if name == "load":
        from leanformer.runtime.serving.predictor import load

        return load
    if name == "compress":
        from leanformer.search import compress

        return compress
    raise AttributeError(f"module 'leanformer' has no attribute {name!r}")
