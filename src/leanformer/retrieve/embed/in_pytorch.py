"""Models that were not exported, in PyTorch, behind the predictor of those that were."""

from typing import Any

from leanformer.core.machine.processor import multiplies_bf16
from leanformer.runtime.manifest import Manifest
from leanformer.runtime.serving.predictor import Predictor
from leanformer.runtime.session import Precision
from leanformer.runtime.systems.transformer import Transformer
from leanformer.text import reader_of

BATCH_TOKENS = 1024
"""Padded tokens per batch: on a CPU, larger batches only add padding."""
_LARGEST = 8192  # tokens that are read by a model whose files do not say how many it reads
_UNSAID = 10**9


def predictor_in_pytorch(
    model: Any,
    tokenizer: Any,
    kind: str,
    *,
    pairs: bool = False,
    precision: Precision | None = None,
    threads: int | None = None,
    batch_tokens: int | None = None,
) -> Predictor:
    """Answers texts, or pairs of texts, by a model of transformers.

    Args:
        model: As `load_model` gives it.
        tokenizer: Its tokenizer.
        kind: Kind of task.
        pairs: Whether it reads two texts together.
        precision: None = bf16 where the processor multiplies bf16 numbers itself, fp32 elsewhere.
        threads: Threads that compute one call; None = all cores.
        batch_tokens: Padded tokens per batch, at most; None = 1,024.
    """
    from leanformer.runtime.torch_backend import TorchSession

    precision = precision or ("bf16" if multiplies_bf16() else "fp32")
    session = TorchSession(model, kind, precision, pairs=pairs, threads=threads)
    said = int(tokenizer.model_max_length)  # at most the model's positions, or a number for "none"
    most = said if said < _UNSAID else _LARGEST
    manifest = Manifest(kind=kind, max_length=most, precision=precision, pairs=pairs)
    reader = reader_of(tokenizer, most)
    return Predictor(
        Transformer(session, reader, manifest, max_tokens=batch_tokens or BATCH_TOKENS)
    )
