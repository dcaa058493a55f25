"""A cross-encoder as the teacher of a bi-encoder: it scores each anchor with each of its texts.

    t(a, x) = the logit of a model that reads both together

It judges a pair better than two vectors can, and costs a pass per pair. So its scores are kept on
disk: one file of safetensors per teacher and list of pairs, named by a digest of both, with a
digest of the scores in its header.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from leanformer.core.identity.digest import chunks, digest, short
from leanformer.core.storage.files import write_bytes
from leanformer.data import Examples, encode_examples
from leanformer.data.relations import Relations
from leanformer.models.digest import model_identity
from leanformer.models.io.load import has_head, load_model
from leanformer.train.evaluate import outputs
from leanformer.train.ranks import decide

_KIND, _SCORES, _CHECKSUM = "ranking", "scores", "checksum"


def score_candidates(
    relations: Relations,
    cross_encoder: str,
    *,
    device: torch.device | None = None,
    precision: str = "bf16",
    cache: Path | None = None,
) -> Relations:
    """The same tuples with the logit that a cross-encoder gives each anchor with each of its texts.

    Args:
        relations: The texts that belong together.
        cross_encoder: Folder or hub name of a model with one output, such as the ranking task
            trains, or sentence-transformers' `CrossEncoder`.
        device: Where it reads; None = the CPU.
        precision: In which precision.
        cache: Folder that keeps the scores; None = they are not kept.

    Raises:
        OSError: There is no such model.
        ValueError: It has not one output per pair, or a file of the cache is damaged.
    """
    rows = [relations.candidates(row) for row in range(len(relations))]
    asked = [
        (anchor, text)
        for anchor, texts in zip(relations.anchors, rows, strict=True)
        for text in texts
    ]
    pairs = list(dict.fromkeys(asked))
    found = decide(lambda: _scores(pairs, cross_encoder, device, precision, cache))
    score_of = dict(zip(pairs, found.tolist(), strict=True))
    scores = tuple(
        tuple(score_of[anchor, text] for text in texts)
        for anchor, texts in zip(relations.anchors, rows, strict=True)
    )
    return replace(relations, scores=scores)


def open_cross_encoder(folder: str | Path) -> tuple[Any, Any]:
    """A cross-encoder and its tokenizer, in the format of transformers.

    Raises:
        OSError: There is no such model.
        ValueError: It has not one output per pair.
    """
    if not has_head(folder, "classification"):
        raise ValueError(
            f"{folder} has no trained head that scores pairs of texts; fine-tune it for kind = "
            "'ranking' first, or name one that sentence-transformers' CrossEncoder saved"
        )
    model, tokenizer = load_model(folder, "classification")
    if model.config.num_labels != 1:
        raise ValueError(
            f"{folder} has {model.config.num_labels} labels, and a cross-encoder has one, the "
            "score; train one for kind = 'ranking'"
        )
    return model, tokenizer


def _scores(
    pairs: Sequence[tuple[str, str]],
    folder: str,
    device: torch.device | None,
    precision: str,
    cache: Path | None,
) -> NDArray[np.float32]:
    """The logit of each pair, [N], from the cache where it has them."""
    model, tokenizer = open_cross_encoder(folder)
    file = None
    if cache is not None:
        whose = model_identity(model, tokenizer)
        key = digest(sorted(whose.items()), precision, tokenizer.model_max_length, chunks(pairs))
        file = cache / f"{short(key)}.safetensors"
        if file.is_file():
            return _kept(file, key, len(pairs))
    texts, others = (list(column) for column in zip(*pairs, strict=True))
    examples = Examples(texts=texts, pairs=others)
    encoded = encode_examples(examples, tokenizer, _KIND, tokenizer.model_max_length)
    model = model.to(device or torch.device("cpu"))
    found = np.concatenate(outputs(model, encoded, _KIND, precision)).astype(np.float32)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, save({_SCORES: found}, {_CHECKSUM: _checksum(key, found)}))
    return found


def _kept(file: Path, key: str, pairs: int) -> NDArray[np.float32]:
    try:
        with safe_open(file, framework="np") as held:
            told = (held.metadata() or {}).get(_CHECKSUM)
            found: NDArray[np.float32] = held.get_tensor(_SCORES)
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged ({error}); remove it") from error
    if found.shape != (pairs,):
        raise ValueError(f"{file} is damaged: {found.shape} scores for {pairs} pairs; remove it")
    if found.dtype != np.float32 or told != _checksum(key, found):
        raise ValueError(f"{file} is damaged: its checksum is wrong; remove it")
    return found


def _checksum(key: str, scores: NDArray[np.float32]) -> str:
    return digest(key, scores.tobytes())
