"""Data sets of the Hugging Face hub, through 🤗 datasets: `owner/name`, or `owner/name:config`."""

from typing import Any

from leanformer.core.technique import nearest
from leanformer.data.chosen_columns import LABEL, usual_name
from leanformer.data.formats.class_names import class_names, with_names
from leanformer.data.rows import Row
from leanformer.data.splits.names import split_called

_HIDDEN = (-1, None)  # labels that a benchmark keeps to itself


def hub_splits(name: str, config: str | None = None) -> dict[str, list[Row]]:
    """The rows of each split of a data set.

    A test split whose labels are all hidden (-1, as in GLUE) is left out.

    Args:
        name: Name of the data set.
        config: Its configuration; None where it has one only.

    Raises:
        FileNotFoundError: The hub does not give it, or 🤗 datasets is not installed.
        ValueError: It has several configurations and none is named, or no such one, or no training
            split.
    """
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise FileNotFoundError(
            f"{name}: no such file or folder; for the hub: pip install 'leanformer[hub]'"
        ) from error
    try:
        splits = load_dataset(name, config)
    except Exception as error:
        _check_config(name, config)
        said = " ".join(str(error).split())
        raise FileNotFoundError(
            f"{name}: no such file or folder here, and the hub did not give it ({said})"
        ) from error
    rows = dict[str, list[Row]]()
    for split, called in split_called(list(splits), name):
        if split not in rows:
            rows[split] = _rows(splits[called], f"{name} {called} row ")
    if "train" not in rows:
        raise ValueError(
            f"{name}: the hub's data set has no split called train; there are: {', '.join(splits)}"
        )
    if "test" in rows and _is_hidden(rows["test"], rows["train"]):
        del rows["test"]
    return rows


def _check_config(name: str, config: str | None) -> None:
    """Refuse a configuration that is not there, or that is not named.

    Raises:
        ValueError: It is so.
    """
    from datasets import get_dataset_config_names

    try:
        known = get_dataset_config_names(name)
    except Exception:
        return  # the hub gives nothing of that name; the caller says so
    if config is None and len(known) > 1:
        raise ValueError(
            f"{name}: it has several configurations; name one, e.g. {name}:{known[0]}; there are: "
            f"{', '.join(known)}"
        )
    if config is not None and config not in known:
        raise ValueError(
            f"{name}: there is no configuration {config!r}{nearest(config, known)}; there are: "
            f"{', '.join(known)}"
        )


def _rows(split: Any, source: str) -> list[Row]:
    """The rows of a split, with names for classes."""
    classes = class_names(split.features.to_dict())
    return [
        Row(with_names(row, classes, f"{source}{number}"), source, number)
        for number, row in enumerate(split.to_list(), 1)
    ]


def _is_hidden(test: list[Row], train: list[Row]) -> bool:
    """Whether no test row has a label that a training row may have."""
    for column in test[0] if test else ():
        if usual_name(column) in LABEL and all(row[column] in _HIDDEN for row in test):
            return any(row.get(column) not in _HIDDEN for row in train)
    return False
