"""The lean models: each standard model class, cut to its configuration's shapes when it is built.

`LeanBertForSequenceClassification(config)` builds a `BertForSequenceClassification` and reshapes
its layers; there is no other difference, so every feature of the standard class is there.
`from_pretrained` builds on the meta device, where this costs nothing.
"""

from functools import cache
from importlib import import_module
from typing import Any

from leanformer.models.families import FAMILIES, package_of
from leanformer.models.lean.lean_config import lean_config
from leanformer.models.lean.per_layer_shapes import reshape


@cache
def lean_model(family: str, name: str) -> type[Any]:
    """The lean model class of a standard model class, e.g. of "bert" and "BertModel"."""
    plain = getattr(import_module(package_of(family)), name)

    def __init__(self: Any, config: Any, *args: Any, **kwargs: Any) -> None:
        super(lean, self).__init__(config, *args, **kwargs)
        reshape(self)

    attributes = {
        "__init__": __init__,
        "config_class": lean_config(family),
        "__module__": __name__,
        "__qualname__": f"Lean{name}",
        "__doc__": f"{name} with layers of the shapes in its configuration's `lean`.",
    }
    lean: type[Any] = type(f"Lean{name}", (plain,), attributes)
    return lean


def lean_class(family: str, name: str) -> type[Any]:
    """The lean class of this name: a configuration or a model.

    Raises:
        AttributeError: The family has no standard class of that name.
    """
    plain = name.removeprefix("Lean")
    if plain == name or not plain.startswith(FAMILIES[family]):
        raise AttributeError(f"{package_of(family)} has no lean class {name!r}")
    return lean_config(family) if plain.endswith("Config") else lean_model(family, plain)


def __getattr__(name: str) -> Any:
    """`LeanBertModel` and its kin by name: pickling and copying look classes up in their module."""
    for family, stem in FAMILIES.items():
        if name.startswith(f"Lean{stem}"):
            return lean_class(family, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
