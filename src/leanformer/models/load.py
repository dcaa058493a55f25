"""A trained model and its tokenizer from a folder or the hub, with the head that the task needs.

Everything that can be wrong with the folder is found before torch reads a byte
(`leanformer.models.checkpoint`). A head that the checkpoint lacks is new and random, the same for
the same seed; an encoder that it lacks is an error.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from huggingface_hub import snapshot_download

from leanformer.models.checkpoint import Checkpoint, read_checkpoint
from leanformer.models.embedding import describe_embedding
from leanformer.models.labels import label_settings
from leanformer.models.quiet import quiet
from leanformer.models.read_modules import read_embedding

Head = Literal["classification", "tokens", "embedding", "masked", "causal"]

_CLASSES = {
    "classification": "AutoModelForSequenceClassification",
    "tokens": "AutoModelForTokenClassification",
    "embedding": "AutoModel",
    "masked": "AutoModelForMaskedLM",
    "causal": "AutoModelForCausalLM",
}
_ENDINGS = {
    "classification": ("ForSequenceClassification",),
    "tokens": ("ForTokenClassification",),
    "masked": ("ForMaskedLM", "ForPreTraining"),
    "causal": ("ForCausalLM", "LMHeadModel"),
}
_HEAD_KEYS = ("classifier.", "score.")
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "1_Pooling/*"]


def load_model(
    source: str | Path,
    head: Head,
    *,
    num_labels: int | None = None,
    labels: Sequence[str] | None = None,
    fresh_head: bool = False,
    seed: int = 0,
) -> tuple[Any, Any]:
    """The model in evaluation mode and float32, and its fast tokenizer.

    Args:
        source: A model folder, or an id on the Hugging Face hub.
        head: "classification" (also regression: one label), "tokens", "embedding" (the bare
            encoder, with the pooling, prompts and length that sentence-transformers' files say),
            "masked" (a masked language model) or "causal".
        num_labels: Labels of the head; the checkpoint's own where it has the head.
        labels: Their names, in order.
        fresh_head: Throw the checkpoint's head away and begin with a new one.
        seed: Seed of a new head.

    Raises:
        OSError: There is no such folder.
        ValueError: The folder cannot be loaded, labels do not fit the head, weights are missing,
            or an embedding model asks for what cannot be kept (`read_embedding`).
    """
    if head not in _CLASSES:
        raise ValueError(f"head {head!r} is not one of {', '.join(_CLASSES)}")
    folder = folder_of(source)
    embedding, limit = read_embedding(folder) if head == "embedding" else (None, None)
    checkpoint = read_checkpoint(folder)
    trained = _has_head(checkpoint, head) and not fresh_head
    renew = not trained and head in ("classification", "tokens")
    settings = label_settings(checkpoint, head, num_labels, labels, trained)
    auto = getattr(transformers, _CLASSES[head])
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint.folder)
        model, report = auto.from_pretrained(
            checkpoint.folder,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=renew,
            output_loading_info=True,
            **settings,
        )
        mismatched = {entry[0] for entry in report["mismatched_keys"]}
        _refuse_holes(checkpoint, model, set(report["missing_keys"]) | mismatched)
        if renew:  # the head of another task may have the same name and shape
            _renew_head(model, auto.from_config(model.config))
    _fit(model, tokenizer, checkpoint)
    describe_embedding(model, tokenizer, embedding, limit)
    return model.eval(), tokenizer


def has_head(source: str | Path, head: Head) -> bool:
    """Whether the checkpoint carries a trained head for the task; an embedding needs none.

    Raises:
        OSError: There is no such folder.
        ValueError: The folder cannot be loaded.
    """
    return _has_head(read_checkpoint(folder_of(source)), head)


def folder_of(source: str | Path) -> Path:
    """The folder of a model: `source` itself, or where the hub's files were put.

    Raises:
        FileNotFoundError: It is no folder, and no hub answers to it.
    """
    folder = Path(source).expanduser()
    name = str(source)
    if folder.exists() or isinstance(source, Path) or name[:1] in "./~" or name.count("/") > 1:
        return folder
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except Exception as error:  # the hub's client raises kinds of its own for each way to be absent
        raise FileNotFoundError(
            f"{name}: there is no such folder, and the hub did not give such a model "
            f"({type(error).__name__}); name a model folder, or go online"
        ) from error


def _has_head(checkpoint: Checkpoint, head: str) -> bool:
    if head == "embedding":
        return True
    architectures = checkpoint.config.get("architectures") or []
    if not any(name.endswith(_ENDINGS[head]) for name in architectures):
        return False
    return head in ("masked", "causal") or any(
        key.startswith(_HEAD_KEYS) for key in checkpoint.keys
    )


def _refuse_holes(checkpoint: Checkpoint, model: Any, missing: set[str]) -> None:
    """A pooler or a head may be new; anything else that is missing would silently be random."""
    prefix = f"{model.base_model_prefix}."
    bare = model.base_model is model
    holes = sorted(
        key for key in missing if (bare or key.startswith(prefix)) and "pooler." not in key
    )
    if holes:
        raise ValueError(
            f"{checkpoint.folder}: the weights of the encoder are incomplete, {len(holes)} tensors "
            f"are missing or of another shape ({holes[0]} …)"
        )


def _renew_head(model: Any, fresh: Any) -> None:
    """Give `model` the classifier of `fresh`, which was just initialised.

    Layers that a head shares with pre-training (ModernBERT's `head`) stay as they were.
    """
    state = fresh.state_dict()
    head = {key: value for key, value in state.items() if key.startswith(_HEAD_KEYS)}
    model.load_state_dict(head, strict=False)


def _fit(model: Any, tokenizer: Any, checkpoint: Checkpoint) -> None:
    """Make tokenizer and model agree on padding and length."""
    if not tokenizer.is_fast:
        raise ValueError(f"{checkpoint.folder}: the tokenizer has no fast form (tokenizer.json)")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # decoders are trained without padding
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None:
        shifted = type(model.config).__name__.removeprefix("Lean").startswith(("Roberta", "XLMRob"))
        usable = positions - (tokenizer.pad_token_id + 1 if shifted else 0)
        tokenizer.model_max_length = min(tokenizer.model_max_length, usable)
