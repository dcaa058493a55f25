"""How splits are called in folders and on the hub."""

from collections.abc import Iterable
from itertools import chain

_NAMES = {
    "train": ("train", "training"),
    "dev": ("dev", "valid", "validation", "val", "development", "devel", "validation_matched"),
    "test": ("test", "testing", "test_matched"),
    "unlabelled": ("unlabelled", "unlabeled", "unsup", "unsupervised"),
}
_EITHER = ("eval", "evaluation")  # dev where there is a test split too


def is_split(name: str) -> bool:
    """Whether a name may be that of a split."""
    return name.lower() in (*chain.from_iterable(_NAMES.values()), *_EITHER)


def split_called(names: Iterable[str], where: str) -> list[tuple[str, str]]:
    """Which split each name means, in any case; names that mean none are left out.

    Args:
        names: The names that are there.
        where: What an error begins with.

    Raises:
        ValueError: One is called eval, and there is no other for dev or test.
    """
    found = [
        (split, name) for split, known in _NAMES.items() for name in names if name.lower() in known
    ]
    # in the order of the known names, so that the first is the likeliest
    found.sort(key=lambda one: _NAMES[one[0]].index(one[1].lower()))
    there = {split for split, _ in found}
    for name in names:
        if name.lower() in _EITHER and "dev" not in there:
            if "test" not in there:
                raise ValueError(
                    f"{where}: {name} may be the development or the test split; call it dev or test"
                )
            found.append(("dev", name))
    return found
