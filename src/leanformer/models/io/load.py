"""A trained model and its tokenizer from a folder or the hub, with the head that the task needs.

Everything that can be wrong with the folder is found before torch reads a byte
(`leanformer.models.io.checkpoint`). A head that the checkpoint lacks is new and random, the same
for the same seed; an encoder that it lacks is an error.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from huggingface_hub import snapshot_download

from leanformer.core.storage.files import recover_folder
from leanformer.models.embedding import describe_embedding
from leanformer.models.io.blame import blamed
from leanformer.models.io.checkpoint import Checkpoint, read_checkpoint
from leanformer.models.io.completeness import (
    refuse_disagreement,
    refuse_incomplete,
    refuse_larger,
    refuse_other_types,
)
from leanformer.models.io.labels import label_settings, matched_labels
from leanformer.models.io.quiet import quiet
from leanformer.models.io.read_modules import read_embedding
from leanformer.models.io.tokenizer_files import fit_tokenizer, load_tokenizer
from leanformer.models.lean.stored_config import check_form
from leanformer.models.written import check_written

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
_RENEWED = ("classification", "tokens")
"""Heads whose name and shape another task's head may have: a new one is initialised anew."""
_HEAD_KEYS = {
    "classification": ("classifier.", "score.", "classification_head.", "logits_proj."),
    "tokens": ("classifier.", "score."),
    "masked": (
        "cls.predictions.",
        "lm_head.",
        "lm_predictions.",
        "vocab_",
        "generator_",
        "head.",
        "decoder.",
    ),
    "causal": ("",),  # the output layer may be the embeddings themselves
}
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "1_Pooling/*", "2_Normalize/*"]


def load_model(
    source: str | Path,
    head: Head,
    *,
    num_labels: int | None = None,
    labels: Sequence[str] | None = None,
    fresh_head: bool = False,
    seed: int = 0,
    problem_type: str = "",
) -> tuple[Any, Any]:
    """The model in evaluation mode and float32, and its fast tokenizer.

    Args:
        source: A model folder, or an id on the Hugging Face hub.
        head: "classification" (also regression: one label), "tokens", "embedding" (the bare
            encoder, with the pooling, prompts and length that sentence-transformers' files say),
            "masked" (a masked language model) or "causal".
        num_labels: Labels of the head; the checkpoint's own where it has the head.
        labels: Their names, in order.
        fresh_head: Replace the checkpoint's own head by a new one.
        seed: Seed of a new head.
        problem_type: What a head for classification is for, in transformers' words; "" =
            "regression" of one label without a name, otherwise "single_label_classification".

    Raises:
        OSError: There is no such folder.
        ValueError: The folder is damaged or cannot be loaded, labels do not fit the head, weights
            are missing, or an embedding model has a part that cannot be kept (`read_embedding`).
    """
    if head not in _CLASSES:
        raise ValueError(f"head {head!r} is not one of {', '.join(_CLASSES)}")
    if fresh_head and head not in _RENEWED:
        raise ValueError(f"fresh_head: a model for {head} has no head that could be a new one")
    folder = folder_of(source)
    check_written(folder)
    embedding, limit = read_embedding(folder) if head == "embedding" else (None, None)
    checkpoint = read_checkpoint(folder)
    trained = not fresh_head and _has_head(checkpoint, head)
    settings = label_settings(checkpoint, head, num_labels, labels, trained, problem_type)
    with quiet(), torch.random.fork_rng(devices=[]):
        with blamed(checkpoint.folder / "config.json"):
            config = _configuration(checkpoint, head, settings)
        tokenizer = load_tokenizer(checkpoint.folder, config)
        torch.manual_seed(seed)
        with blamed(checkpoint.folder / "config.json"):
            model = _weights(checkpoint, config, head, trained)
    fit_tokenizer(tokenizer, model, checkpoint.folder)
    describe_embedding(model, tokenizer, embedding, limit)
    return model.eval(), tokenizer


def has_head(source: str | Path, head: Head) -> bool:
    """Whether the checkpoint carries a trained head for the task; an embedding needs none.

    Raises:
        OSError: There is no such folder.
        ValueError: The folder cannot be loaded.
    """
    return _has_head(read_checkpoint(folder_of(source)), head)


def head_labels(
    source: str | Path, head: Head, labels: Sequence[str], problem_type: str = ""
) -> tuple[str, ...] | None:
    """The labels of a trained head in its own order, spelled as in `labels`.

    Args:
        source: A model folder, or an id on the hub.
        head: "classification" or "tokens".
        labels: The labels of a data set.
        problem_type: As of `load_model`.

    Returns:
        One name per output of the head; None where the checkpoint has no trained head for the task.

    Raises:
        OSError: There is no such folder.
        ValueError: The folder cannot be loaded, or its head is for other labels or another task.
    """
    checkpoint = read_checkpoint(folder_of(source))
    if not _has_head(checkpoint, head):
        return None
    return matched_labels(checkpoint, head, labels, problem_type)


def folder_of(source: str | Path) -> Path:
    """The folder of a model: `source` itself, or where the hub's files were put.

    Raises:
        FileNotFoundError: It is not a folder, and the hub did not give such a model.
    """
    folder = Path(source).expanduser()
    recover_folder(folder)
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
    held = any(name.startswith(_HEAD_KEYS[head]) for name in checkpoint.tensors)
    if held and not architectures and head in _RENEWED:
        raise ValueError(
            f"{checkpoint.folder / 'config.json'}: architectures is missing, so that nothing says "
            "what the head in the weights is for; name its class there, e.g. "
            '"architectures": ["BertForSequenceClassification"]'
        )
    return held and any(name.endswith(_ENDINGS[head]) for name in architectures)


def _configuration(checkpoint: Checkpoint, head: str, settings: dict[str, Any]) -> Any:
    """The configuration with these fields, after what can be compared without building a model."""
    fields = copy.deepcopy(checkpoint.config)
    if settings:  # transformers would refuse some values of the fields that they replace
        fields.pop("num_labels", None)
    fields |= settings
    config = transformers.CONFIG_MAPPING[fields["model_type"]].from_dict(fields)
    form = getattr(config, "quantization_config", None)
    if form is not None:
        check_form("quant_method", form.get("quant_method"))
    config.return_dict = True  # outputs are asked for by name
    if head == "embedding" and config.is_encoder_decoder:
        raise ValueError(
            f"{checkpoint.folder / 'config.json'}: {config.model_type!r} is an encoder-decoder, "
            "whose last hidden states are not those of the text; name an encoder or a decoder"
        )
    refuse_disagreement(checkpoint, config)
    return config


def _weights(checkpoint: Checkpoint, config: Any, head: str, trained: bool) -> Any:
    """The model that the configuration describes, with all the weights of the checkpoint."""
    auto = getattr(transformers, _CLASSES[head])
    plain = getattr(config, "quantization_config", None) is None
    if plain:
        with torch.device("meta"):
            refuse_larger(checkpoint, auto.from_config(copy.deepcopy(config)))
    model, report = auto.from_pretrained(
        checkpoint.folder,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,  # they are refused by name
        output_loading_info=True,
    )
    refuse_incomplete(checkpoint, model, report, new_head=not trained, bare=head == "embedding")
    refuse_other_types(checkpoint, model)
    if not trained and head in _RENEWED:
        _renew_head(model, auto.from_config(model.config), _HEAD_KEYS[head])
    output = model.get_output_embeddings() if plain else None
    if output is not None and output.weight is not model.get_input_embeddings().weight:
        model.config.tie_word_embeddings = False  # the weights say so, whatever config.json says
    return model


def _renew_head(model: Any, fresh: Any, keys: tuple[str, ...]) -> None:
    """Give `model` the classifier of `fresh`, which was just initialised.

    Layers that a head shares with pre-training (ModernBERT's `head`) stay as they were.
    """
    state = fresh.state_dict()
    head = {key: value for key, value in state.items() if key.startswith(keys)}
    model.load_state_dict(head, strict=False)
