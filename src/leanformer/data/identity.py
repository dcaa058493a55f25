"""What tells one data set from another, by content: a file may be moved, but not changed."""

from typing import Any

from leanformer.core.identity.digest import chunks, digest
from leanformer.data.task import SPLITS, Dataset, Examples


def identify_data(dataset: Dataset) -> dict[str, Any]:
    """The task, and for each split the digests of its texts and of its labels, as JSON values."""
    task = dataset.task
    asked = {"kind": task.kind, "metric": task.metric, "labels": list(task.labels)}
    splits = {name: getattr(dataset, name) for name in SPLITS}
    return {"task": asked} | {
        name: _identify(split) for name, split in splits.items() if split is not None
    }


def _identify(split: Examples) -> dict[str, Any]:
    read = (split.texts, split.pairs, split.words, split.groups)
    related = {} if split.relations is None else {"relations": split.relations.identity()}
    return related | {
        "examples": len(split),
        "texts": digest(*(column if column is None else chunks(column) for column in read)),
        "labels": digest(split.labels if split.labels is None else chunks(split.labels)),
    }
