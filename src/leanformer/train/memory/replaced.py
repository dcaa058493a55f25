"""Attributes of objects replaced for a while: how savers change a step and leave no trace.

    with replaced() as replace:
        replace(layer, "forward", cheaper)        only this object; its class stays

Hooks of other libraries stay outside: whoever wraps a module calls its `forward` in the middle.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_CLASS = object()  # the object had none of its own


@contextmanager
def replaced() -> Iterator[Callable[[Any, str, Any], None]]:
    """Within it, the function that it gives replaces attributes; afterwards they are as before,
    also after an error.
    """
    before: list[tuple[Any, str, Any]] = []

    def replace(owner: Any, name: str, value: Any) -> None:
        before.append((owner, name, vars(owner).get(name, _CLASS)))
        setattr(owner, name, value)

    try:
        yield replace
    finally:
        for owner, name, value in reversed(before):
            if value is _CLASS:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
