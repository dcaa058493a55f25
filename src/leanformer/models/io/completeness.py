"""Whether a checkpoint and its config.json describe the same model, tensor by tensor.

missing      in the model and not in the file     would silently be random; fine for a new head
unexpected   in the file and not in the model     would silently be dropped; fine for another head
mismatched   in both, of different shapes         would silently be random; fine for a new head
"""

import math
import re
from typing import Any

from leanformer.core.shown import shown
from leanformer.models.families import FAMILIES, WHOLE, family_of
from leanformer.models.io.checkpoint import Checkpoint

_LAYER = re.compile(r"(?:^|\.)(?:encoder\.layer|transformer\.layer|layers|h)\.(\d+)\.")
_POOLER = "pooler"  # belongs to the bare model, and to the head of pre-training
_PARTS = ("embeddings_project",)  # parts that only some configurations of a family have
_OTHER_HEADS = ("cls.seq_relationship",)  # beside the head that is loaded, under its name
_BUFFERS = re.compile(r"(^|\.)(position_ids|token_type_ids|masked_bias|inv_freq)$")
_DEFAULTS = {"position_embedding_type": "absolute", "pruned_heads": {}}
_OR_FRESH = ", or ask for a new head where only the head's are missing (--fresh-head)"
_MOST = 10
_FLOATS = ("F16", "BF16", "F32", "F64")


def refuse_disagreement(checkpoint: Checkpoint, config: Any) -> None:
    """Compare what config.json says with the names in the weights, before anything is built.

    Args:
        checkpoint: The folder.
        config: Its configuration, as transformers reads it.

    Raises:
        ValueError: The weights have more or fewer layers than the configuration, or are codes
            without a quantization that explains them; or a field asks for something that
            transformers no longer supports.
    """
    file = checkpoint.folder / "config.json"
    for field, default in _DEFAULTS.items():
        said = checkpoint.config.get(field)
        if said not in (None, default):
            raise ValueError(
                f"{file}: {field} is {shown(said)}, which this version of transformers does "
                "not read; "
                f"only models with {shown(default)} can be loaded"
            )
    if family_of(config.model_type) in (*FAMILIES, *WHOLE):
        _refuse_other_layers(checkpoint, config.num_hidden_layers)
    if getattr(config, "quantization_config", None) is None:
        for name, entry in checkpoint.tensors.items():
            if name.endswith(".weight") and entry.dtype not in _FLOATS:
                raise ValueError(
                    f"{checkpoint.folder}: {name} is of type {entry.dtype}, and config.json names "
                    "no quantization that says what its numbers stand for; give the model in float "
                    "weights"
                )


def _refuse_other_layers(checkpoint: Checkpoint, layers: int) -> None:
    matches = {name: _LAYER.search(name) for name in sorted(checkpoint.tensors)}
    numbers = {name: int(match[1]) for name, match in matches.items() if match}
    held = len(set(numbers.values()))
    if layers == held:
        return
    left_out = [name for name, number in numbers.items() if number >= layers]
    shown = f" ({left_out[0]} … would be left out)" if left_out else ""
    raise ValueError(
        f"{checkpoint.folder / 'config.json'} says {layers} layers, and the weights hold {held}"
        f"{shown}; the file was changed by hand, or belongs to another model: make its number of "
        "layers that of the weights, or save the model again with save_pretrained"
    )


def refuse_larger(checkpoint: Checkpoint, skeleton: Any) -> None:
    """Refuse a configuration that describes far more weights than there are, before any are made.

    This protects memory; single missing tensors are named by `refuse_incomplete`.

    Args:
        checkpoint: The folder.
        skeleton: The model without memory for its weights.

    Raises:
        ValueError: The bare model has more than ten times the weights of the files.
    """
    described = sum(parameter.numel() for parameter in skeleton.base_model.parameters())
    held = sum(math.prod(entry.shape) for entry in checkpoint.tensors.values())
    if described > _MOST * held:
        raise ValueError(
            f"{checkpoint.folder / 'config.json'} describes a model of {described} weights, and "
            f"the files hold {held}; it belongs to another model"
        )


def refuse_other_types(checkpoint: Checkpoint, model: Any) -> None:
    """Refuse a stored form whose float tensors are of another type in the file.

    transformers converts the tensors of plain models; those of a stored form stay as they are.

    Args:
        checkpoint: The folder.
        model: What transformers loaded from it.

    Raises:
        ValueError: A parameter is not a floating-point tensor.
    """
    for name, parameter in model.named_parameters():
        if not parameter.is_floating_point():
            raise ValueError(
                f"{checkpoint.folder}: {name} is of type {parameter.dtype} in the weights, and a "
                "floating-point tensor is needed; the file is damaged, make the model again"
            )


def refuse_incomplete(
    checkpoint: Checkpoint, model: Any, report: dict[str, Any], *, new_head: bool, bare: bool
) -> None:
    """Refuse a model that was loaded in part.

    Args:
        checkpoint: The folder.
        model: What transformers loaded from it.
        report: The loading report of transformers.
        new_head: Whether the head is to be new, so that its tensors may be missing.
        bare: Whether the encoder is loaded for its hidden states, so that a pooler may be missing.

    Raises:
        ValueError: Tensors are missing, of another shape, or left out; the message names one.
    """
    prefix = f"{model.base_model_prefix}."
    whole = model.base_model is model

    def needed(key: str) -> bool:
        encoder = whole or key.startswith(prefix)
        pooler = f"{_POOLER}." in key
        return (encoder and not pooler) or not (new_head or (bare and pooler))

    shapes = {key: (theirs, ours) for key, theirs, ours in report["mismatched_keys"] if needed(key)}
    holes = sorted({key for key in report["missing_keys"] if needed(key)} | set(shapes))
    if holes:
        first, more = holes[0], len(holes) > 1
        what = "is missing"
        if first in shapes:
            theirs, ours = (list(shape) for shape in shapes[first])
            what = f"has the shape {theirs} in the file and {ours} by config.json"
        raise ValueError(
            f"{checkpoint.folder}: the weights are incomplete, {len(holes)} tensors are missing or "
            f"of another shape ({first} {what}{' …' if more else ''}); save the whole model again "
            f"with save_pretrained{_OR_FRESH if not (new_head or whole) else ''}"
        )
    parts = {name for name, _ in model.base_model.named_children()} | set(_PARTS)
    if not new_head:
        parts |= {name for name, _ in model.named_children()}
    strangers = sorted(key for key in report["unexpected_keys"] if _of_model(key, prefix, parts))
    if strangers:
        raise ValueError(
            f"{checkpoint.folder}: {len(strangers)} tensors of the weights have no place in the "
            f"model that config.json describes ({strangers[0]}{' …' if len(strangers) > 1 else ''})"
            "; config.json belongs to another model or architecture: put the model's own beside "
            "the weights, or remove the tensors if the model is whole without them"
        )


def _of_model(key: str, prefix: str, parts: set[str]) -> bool:
    """Whether a tensor of this name belongs to the model, its pooler and buffers aside."""
    part = key.removeprefix(prefix).split(".")[0]
    inside = key.startswith(prefix) or part in parts
    others = part == _POOLER or key.startswith(_OTHER_HEADS) or _BUFFERS.search(key)
    return inside and not others
