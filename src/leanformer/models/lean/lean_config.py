"""The configuration of a model whose layers differ in shape.

A lean configuration is the family's own (BertConfig …) with `model_type` "lean-bert" … and one
field more, `lean`:

    {"heads": [6, 12, 3], "kv_heads": [6, 12, 3], "ffn": [768, 100, 1536], "first_norm": false}

one number per layer; an MPNet has `bias_heads` besides, which lists for each layer the columns of
the shared position bias that its heads take. The family's own fields (`num_attention_heads`,
`intermediate_size`) keep the widest shape that layers are built with before they are cut;
`num_attention_heads` also fixes the head width, hidden size / heads. `first_norm` says that a
ModernBERT whose first layer was removed begins with a normed layer (its own first layer has no
attention norm).
"""

from functools import cache
from importlib import import_module
from typing import Any

from leanformer.models.families import FAMILIES, PREFIX, package_of


@cache
def lean_config(family: str) -> type[Any]:
    """The lean configuration class of a family."""
    plain = getattr(import_module(package_of(family)), f"{FAMILIES[family]}Config")
    name = f"Lean{plain.__name__}"
    attributes = {
        "model_type": PREFIX + family,
        "__module__": __name__,
        "__qualname__": name,
        "__doc__": f"{plain.__name__} with per-layer shapes in `lean`.",
    }
    return type(name, (plain,), attributes)


def __getattr__(name: str) -> Any:
    """`LeanBertConfig` and its kin by name: pickling looks classes up in their module."""
    for family, stem in FAMILIES.items():
        if name == f"Lean{stem}Config":
            return lean_config(family)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
