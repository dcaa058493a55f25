"""Refuse folders that would make transformers fetch, import or run anything foreign.

    config.json             attention and experts by the name of a kernel on the hub; `auto_map`;
                            quantizers of other libraries; fields that swap modules or weight files
    tokenizer_config.json   `auto_map`; fields that name other files
    adapter_config.json     a base model on the hub
    custom_generate/        a function that would replace `generate`

Each is refused by name before transformers reads a byte. Fields such as the kind of attention or
the dtype may only have the values that are listed here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leanformer.core.shown import shown
from leanformer.core.storage.json_file import read_json
from leanformer.models.families import STORED

_IMPLEMENTATIONS = {
    "attn": ("eager", "sdpa", "flex_attention"),
    "experts": ("eager", "batched_mm", "grouped_mm"),
}
_DTYPES = ("float16", "bfloat16", "float32", "float64")
_CODE = "names code of the folder's own, which is never run"
_OTHER_TOKENIZER = "names another file to be read in place of tokenizer.json"
_CONFIG = {
    "auto_map": _CODE,
    "fusion_config": "swaps modules of the model for others",
    "kernel_config": "swaps modules of the model for kernels from the hub",
    "per_layer_config": "gives layers configurations of their own, which leanformer does not read",
    "configuration_files": "names another file to be read in place of this one",
    "transformers_weights": "names another file to be read in place of model.safetensors",
    "compression_config": "belongs to another library's quantizer",
}
_TOKENIZER = {
    "auto_map": _CODE,
    "fast_tokenizer_files": _OTHER_TOKENIZER,
    "gguf_file": _OTHER_TOKENIZER,
    "tokenizer_object": "stands for a tokenizer that only a program can give",
    "init_inputs": "gives arguments of the tokenizer's class by position, which are not read",
    "trust_remote_code": "asks for code of the folder's own, which is never run",
}
_LABELS = ("id2label", "label2id")  # their keys are names that users chose
_MOST = {  # transformers makes lists of these lengths when it reads the fields
    "num_hidden_layers": 10_000,
    "n_layer": 10_000,
    "n_layers": 10_000,
    "num_labels": 1_000_000,
}


def refuse_foreign(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a folder whose files ask for something that is not in it, or for code to be run.

    Args:
        folder: The model's folder.
        config: Its config.json.

    Raises:
        ValueError: A field or a file does; the message names it.
    """
    if (folder / "adapter_config.json").exists():
        raise ValueError(
            f"{folder / 'adapter_config.json'}: the folder holds an adapter, whose base model "
            "would be fetched; merge them (merge_and_unload) and save the whole model"
        )
    if (folder / "custom_generate" / "generate.py").exists():
        raise ValueError(
            f"{folder / 'custom_generate'}: the folder holds a generate function of its own, which "
            "is never run; remove it if the model is the same without it"
        )
    file = folder / "config.json"
    _refuse_fields(file, config, _CONFIG)
    for table in _tables(config):
        _refuse_implementations(file, table)
        _refuse_quantizer(file, table.get("quantization_config"))
        _refuse_dtype(file, table)
        _refuse_counts(file, table)
    settings = folder / "tokenizer_config.json"
    if settings.is_file():
        _refuse_fields(settings, read_json(settings), _TOKENIZER)


def _refuse_fields(file: Path, config: dict[str, Any], fields: dict[str, str]) -> None:
    for table in _tables(config):
        for field, why in fields.items():
            if table.get(field):
                raise ValueError(
                    f"{file}: {field} {why}; remove the field if the model is the same without it"
                )


def _refuse_implementations(file: Path, table: dict[str, Any]) -> None:
    for kind, known in _IMPLEMENTATIONS.items():
        for field in (f"_{kind}_implementation", f"{kind}_implementation"):
            value = table.get(field)
            for name in value.values() if isinstance(value, dict) else [value]:
                if name is not None and name not in known:
                    raise ValueError(
                        f"{file}: {field} is {shown(name)}, which may be fetched from the hub "
                        "and run; "
                        f"known are {', '.join(known)}; remove the field"
                    )


def _refuse_quantizer(file: Path, form: Any) -> None:
    if form is None:
        return
    method = form.get("quant_method", form.get("stored_as")) if isinstance(form, dict) else form
    if not f"{method}-".startswith(STORED):
        raise ValueError(
            f"{file}: quantization_config is of {shown(method)}, a quantizer that leanformer "
            "does not "
            "run; give the model in float weights"
        )


def _refuse_dtype(file: Path, table: dict[str, Any]) -> None:
    """transformers takes the attribute of torch that has this name, whatever it is."""
    for field in ("dtype", "torch_dtype"):
        if (value := table.get(field)) is not None and value not in _DTYPES:
            raise ValueError(
                f"{file}: {field} is {shown(value)}, which is not one of {', '.join(_DTYPES)}; "
                "correct "
                "or remove the field"
            )


def _refuse_counts(file: Path, table: dict[str, Any]) -> None:
    for field, most in _MOST.items():
        value = table.get(field)
        if isinstance(value, int | float) and value > most:
            raise ValueError(f"{file}: {field} is {value}, and at most {most} are read")


def _tables(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`config` and every table inside it, except those of labels."""
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += [inner for key, inner in value.items() if key not in _LABELS]
        elif isinstance(value, list):
            waiting += value
