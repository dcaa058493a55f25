"""Which attention each part of a model names in its configuration, and how to put it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def implementations(model: Any) -> list[tuple[Any, str | None]]:
    """Each configuration within a model and the attention that it names, outer ones first."""
    found: dict[int, tuple[Any, str | None]] = {}
    for module in model.modules():
        for config in _nested(getattr(module, "config", None)):
            found.setdefault(id(config), (config, config._attn_implementation))
    return list(found.values())


def _nested(config: Any) -> Iterator[Any]:
    if hasattr(config, "_attn_implementation"):
        yield config
        for key in config.sub_configs:
            yield from _nested(getattr(config, key, None))


def put_implementations(named: list[tuple[Any, str | None]]) -> None:
    """Let configurations name the attention that `implementations` found."""
    for config, name in named:
        config._attn_implementation = name


@contextmanager
def implementations_kept(model: Any) -> Iterator[None]:
    """After it every part of a model attends as before."""
    before = implementations(model)
    try:
        yield
    finally:
        put_implementations(before)
