"""The linear maps of a model's layers: what weight pruning and few bits work on."""

from typing import Any

from leanformer.models.anatomy import layers_of
from leanformer.models.anatomy.channels import is_linear


def linear_maps(model: Any, but: tuple[str, ...], field: str) -> dict[str, Any]:
    """The linear maps within the layers of `model`, by name; embeddings and the head are not.

    Args:
        model: A transformers model of a known architecture.
        but: Names of layers to leave out.
        field: How the caller's setting with these names is called, for the errors.

    Raises:
        ValueError: A name is unknown, or no map is left.
    """
    names = {name for name, _ in model.named_modules()}
    if unknown := [name for name in but if name not in names]:
        raise ValueError(f"{field}: no layer is named {', '.join(unknown)}")
    inside = {id(module) for module in layers_of(model).modules()}
    found = {
        name: module
        for name, module in model.named_modules()
        if is_linear(module) and id(module) in inside and name not in but
    }
    if not found:
        raise ValueError(
            f"{field}: it names every linear layer of {type(model).__name__}, or there is none"
        )
    return found
