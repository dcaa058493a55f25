"""Registers lean architectures and stored forms with transformers when transformers is used.

A finder at the head of `sys.meta_path` waits for the two modules of transformers that hold its
tables of architectures, and fills these in as soon as they exist
(`leanformer.models.lean.registration`). It also answers for the modules in which transformers then
looks for the classes, `transformers.models.lean_bert`, `leanformer_bert` and their kin. So `import
leanformer` is instant, and the order of the two imports does not matter.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from leanformer.models.families import FAMILIES, PREFIX, STORED, package_of
from leanformer.models.lean.registration import REGISTER


def install() -> None:
    """Register at once where transformers is imported already, else when it is. Idempotent."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    for name, register in REGISTER.items():
        if name in sys.modules:
            register()


class _Finder(MetaPathFinder):
    """Wraps the loaders of transformers' tables; makes the modules of lean and stored classes."""

    def __init__(self) -> None:
        self.families = {package_of(PREFIX + family): family for family in FAMILIES}
        self.stored = package_of(STORED)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self.families:
            family = self.families[fullname]
            return ModuleSpec(fullname, _ClassLoader(partial(_lean_class, family)))
        if fullname.startswith(self.stored):
            return ModuleSpec(fullname, _ClassLoader(_stored_config))
        if fullname not in REGISTER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader, REGISTER[fullname])
        return spec


class _RegisteringLoader(Loader):
    """Loads as the wrapped loader does, then registers."""

    def __init__(self, wrapped: Loader, register: Callable[[], None]) -> None:
        self.wrapped = wrapped
        self.register = register

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.wrapped.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self.wrapped  # as if we had not been here
        self.wrapped.exec_module(module)
        self.register()


class _ClassLoader(Loader):
    """Makes a module whose attributes are classes, built by `find` when they are asked for."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        self.find = find

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = self.find


def _lean_class(family: str, name: str) -> Any:
    from leanformer.models.lean.lean_model import lean_class

    return lean_class(family, name)


def _stored_config(name: str) -> Any:
    from leanformer.models.lean.stored_config import stored_config_of

    return stored_config_of(name)
