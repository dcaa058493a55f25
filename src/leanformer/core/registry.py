"""Classes that are found by the name that files and commands call them by.

Techniques have a registry of their own (`core.technique`), by family; this one is for what a served
folder names: backends, kinds of systems.
"""

from typing import Any, Generic, TypeVar

from leanformer.core.technique import nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Members by name, in the order in which they were added.

    Args:
        noun: What a member is, for the message of an error.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._known: dict[str, tuple[str, T]] = {}  # with the class that owns the name

    def add(self, cls: Any, member: T) -> None:
        """Make `member` known by `cls.name`; a module that is loaded again brings it again."""
        owner, _ = self._known.get(cls.name, (cls.__qualname__, None))
        assert owner == cls.__qualname__, f"{cls.name} is taken"
        self._known[cls.name] = cls.__qualname__, member

    def all(self) -> tuple[T, ...]:
        """Every member."""
        return tuple(member for _, member in self._known.values())

    def find(self, name: str) -> T:
        """The member called `name`.

        Raises:
            ValueError: There is none; the message has the nearest name and the list.
        """
        if name not in self._known:
            known = sorted(self._known)
            raise ValueError(
                f"{self._noun} {name!r} is not one of {', '.join(known)}{nearest(name, known)}"
            )
        return self._known[name][1]
