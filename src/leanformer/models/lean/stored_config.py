"""The configuration of a model in a stored form, which says so by its model type.

    in memory   model_type "bert",             quantization_config {"quant_method": FORM, …}
    on disk     model_type "leanformer-bert",  quantization_config {"stored_as": FORM, …}

Plain transformers knows neither: `AutoConfig` and the `AutoModel…` classes refuse the model type by
name, and a class that is called by its own name (`BertModel.from_pretrained`) refuses a
quantization_config without a `quant_method`. In memory nothing changes: the class is a subclass of
the architecture's own, under the same name, because transformers looks up models, tokenizers and
conversions of weights by the name of the configuration class and by `config.model_type`.
"""

from functools import cache
from importlib import import_module
from typing import Any

from leanformer.models.families import STORED

_AUTO = "transformers.models.auto.configuration_auto"
_FORMS = "transformers.quantizers.auto"
_METHOD, _WRITTEN = "quant_method", "stored_as"


def mark_stored(config: Any, settings: dict[str, Any]) -> None:
    """Make a configuration say that its model is in a stored form, and be saved under its name.

    An architecture that transformers does not have in its own tables is none that it could load as
    something else; its configuration keeps its class.

    Args:
        config: The configuration of a transformers model.
        settings: What stands under `quantization_config`, with its `quant_method`.

    Raises:
        ValueError: The model is in another form already.
    """
    check_unstored(config, settings[_METHOD])
    config.quantization_config = settings
    kind: Any = type(config)
    known = import_module(_AUTO).CONFIG_MAPPING_NAMES
    if not is_stored(config) and getattr(kind, "model_type", None) in known:
        config.__class__ = stored_config(kind)


def form_of(config: Any) -> str | None:
    """The name of the form that a model is in, as it is called in memory; None = it is plain."""
    there = getattr(config, "quantization_config", None)
    name: Any = there.get(_METHOD) if isinstance(there, dict) else getattr(there, _METHOD, None)
    return None if name is None else str(name)


def check_unstored(config: Any, form: str) -> None:
    """Refuse a second form: config.json has room for one, and the first would be lost on disk.

    Args:
        config: The configuration of a transformers model.
        form: What the model is about to be stored in.

    Raises:
        ValueError: The model is in another form already.
    """
    method = form_of(config)
    if method not in (None, form):
        raise ValueError(
            f"{form}: the layers of the model are not plain ones (it is stored as {method} "
            "already), and nothing was changed; config.json has room for one form: begin with a "
            "model that is in none, or undo the first"
        )


def mark_plain(config: Any) -> None:
    """Make a configuration that of a plain model again; a plain one stays as it is."""
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    if is_stored(config):
        config.__class__ = type(config).__bases__[0]


def check_form(field: str, name: Any) -> None:
    """Refuse a form that is not known: transformers skips it, with one logged line.

    Args:
        field: Where it stands under `quantization_config`.
        name: What stands there.

    Raises:
        ValueError: No form is called so.
    """
    known = import_module(_FORMS).AUTO_QUANTIZATION_CONFIG_MAPPING
    ours = sorted(form for form in known if f"{form}-".startswith(STORED))
    if name not in ours:
        raise ValueError(
            f"config.json: quantization_config.{field} is {name!r}, which is not a form that this "
            f"version of leanformer knows ({', '.join(ours)}); a newer one may know it"
        )


def is_stored(config: Any) -> bool:
    """Whether the configuration is of the classes made here."""
    return type(config).__module__ == __name__


@cache
def stored_config(plain: type[Any]) -> type[Any]:
    """The class of configurations of stored models of an architecture, e.g. of `BertConfig`."""

    def __post_init__(self: Any, **fields: Any) -> None:
        super(stored, self).__post_init__(**_as_in_memory(fields, plain.model_type))

    def to_dict(self: Any) -> dict[str, Any]:
        return _as_on_disk(super(stored, self).to_dict())

    def to_diff_dict(self: Any) -> dict[str, Any]:
        return _as_on_disk(super(stored, self).to_diff_dict())

    attributes = {
        "__post_init__": __post_init__,
        "to_dict": to_dict,
        "to_diff_dict": to_diff_dict,
        "__module__": __name__,
        "__qualname__": plain.__name__,
        "__doc__": f"{plain.__name__} of a model that leanformer stores in a form of its own.",
    }
    stored: type[Any] = type(plain.__name__, (plain,), attributes)
    return stored


def stored_config_of(model_type: str) -> type[Any]:
    """The class for a model type as it is on disk, e.g. for "leanformer-bert".

    Raises:
        AttributeError: It is not a stored form of an architecture that transformers knows.
    """
    known = import_module(_AUTO).CONFIG_MAPPING
    plain = model_type.removeprefix(STORED)
    if plain == model_type or plain not in known:
        raise AttributeError(f"no architecture is stored as {model_type!r}")
    return stored_config(known[plain])


def _as_on_disk(fields: dict[str, Any]) -> dict[str, Any]:
    """What is written to config.json; without a form the model is a plain one."""
    form = fields.get("quantization_config")
    if not isinstance(form, dict) or _METHOD not in form:
        return fields
    named = {_WRITTEN if key == _METHOD else key: value for key, value in form.items()}
    return {
        **fields,
        "model_type": STORED + fields["model_type"].removeprefix(STORED),
        "quantization_config": named,
    }


def _as_in_memory(fields: dict[str, Any], model_type: str) -> dict[str, Any]:
    """What was read from config.json, as transformers expects it."""
    form = fields.get("quantization_config")
    form = form if isinstance(form, dict) else {}
    written = form.get(_WRITTEN)
    if "model_type" in fields:
        if str(fields["model_type"]).startswith(STORED):
            check_form(_WRITTEN, written)
        fields = {**fields, "model_type": model_type}
    if written is None:
        return fields
    named = {_METHOD if key == _WRITTEN else key: value for key, value in form.items()}
    return {**fields, "quantization_config": named}


def __getattr__(name: str) -> Any:
    """The classes by name: pickling looks them up in their module."""
    auto = import_module(_AUTO)
    for model_type, config in auto.CONFIG_MAPPING_NAMES.items():
        if config == name:
            return stored_config(auto.CONFIG_MAPPING[model_type])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
