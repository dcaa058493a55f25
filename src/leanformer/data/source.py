"""A data set as a user names it: read, split where splits are missing, and checked.

    folder/             train.tsv, dev.tsv, test.tsv, unlabelled.txt (any format of `table`)
    file.tsv            one file, split 80/10/10 by a hash of the text
    owner/name          a data set of the hub; owner/name:config of one with several configurations
    bundled:intents     the hand-written intents of the demo

`splits` finds and reads the files. A missing split is split off the training rows, the same way on
every machine. Rows with one text (and pair) stay together, whatever their other columns hold, and
so do those of a query; the last rows of a class stay in train.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanformer.core.ranges import Count, ranged
from leanformer.data.chosen_columns import Columns
from leanformer.data.formats.table import read_rows
from leanformer.data.origin import Origin
from leanformer.data.reading.columns import columns_of, to_dataset
from leanformer.data.reading.words import word_columns
from leanformer.data.rows import Row
from leanformer.data.splits.files import read_splits, split_files
from leanformer.data.task import Dataset
from leanformer.tasks import kind_named

_SHARE = {"dev": 0.1, "test": 0.1}  # split off where a split is missing


@dataclass(frozen=True, kw_only=True)
@ranged
class Source:
    """How to read a data set; every field but `path` may be left to be found out.

    Attributes:
        path: File, folder, hub name (`owner/name`, `owner/name:config`), or "bundled:intents".
        kind: Kind of task; None = told from the columns.
        text: Column of the text.
        pair: Column of the second text.
        label: Column of the label; for multi-label also several columns of 0 and 1: "anger,joy".
        query_id: Column of the query's id, where texts are ranked by query; None = rows with the
            same text of the query belong together.
        negatives: Where vectors are learned (`kind = "embedding"`): a column of lists of texts that
            do not belong to the text of their row, or several columns: "negative_1,negative_2".
        scores: There too: a column of lists of numbers, or several columns: the score that a
            teacher gave to the second text and to each negative.
        unlabelled: A file of texts without labels (its own columns are found the same way).
        limit: Keep at most this many training rows (a hash decides which); None = all.
        metric: What the task is judged by: accuracy, macro-f1, mcc or f1:LABEL for classification,
            micro-f1, macro-f1 or f1:LABEL for multi-label, spearman or pearson for regression,
            ndcg@10 or mrr@10 for ranking; None = the first of these.
    """

    path: str
    kind: str | None = None
    text: str | None = None
    pair: str | None = None
    label: str | None = None
    query_id: str | None = None
    negatives: str | None = None
    scores: str | None = None
    unlabelled: Path | None = None
    limit: Count | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None:
            kind_named(self.kind)
        for field in ("negatives", "scores"):
            if getattr(self, field) is not None and self.kind != "embedding":
                raise ValueError(
                    f"{field}: only models that make vectors learn from them; set "
                    "kind = 'embedding', or leave them out"
                )

    def read(self) -> Dataset:
        """The data set, checked.

        Raises:
            FileNotFoundError: A file or folder is missing.
            ValueError: Something in it is not as it must be; the message says where.
        """
        files = split_files(self.path)
        rows = read_splits(self.path, files)
        columns = Columns(
            kind=self.kind,
            text=self.text,
            pair=self.pair,
            label=self.label,
            query_id=self.query_id,
            negatives=self.negatives,
            scores=self.scores,
            metric=self.metric,
        )
        first = rows["train"][0]
        chosen = word_columns(first, columns) or columns_of(rows["train"], columns)
        key = _key_of(chosen)
        missing = tuple(split for split in _SHARE if split not in rows)
        if missing:
            rows = _split_off(rows, key, _classes_of(chosen))
        if self.unlabelled is not None:
            rows["unlabelled"] = read_rows(self.unlabelled)
        left_out = 0
        if self.limit is not None:
            left_out = max(0, len(rows["train"]) - self.limit)
            rows["train"] = sorted(rows["train"], key=key)[: self.limit]
        origin = Origin(
            path=self.path,
            files={split: ", ".join(one.name for one in own) for split, own in files.items()},
            kind_asked=self.kind is not None,
            split_off=missing,
            left_out=left_out,
        )
        return to_dataset(_name(self.path), rows, chosen, origin)


def _split_off(
    rows: dict[str, list[Row]],
    key: Callable[[Row], str],
    classes: Callable[[Row], tuple[str, ...]] = lambda row: (),
) -> dict[str, list[Row]]:
    """The rows with a dev and a test split; rows with one key stay together.

    Rows whose class would be gone from train stay there: a class that is judged must be learnt.
    """
    for split, share in _SHARE.items():
        if split in rows:
            continue
        found: dict[str, list[Row]] = {}
        for row in rows["train"]:
            found.setdefault(key(row), []).append(row)
        groups = dict(sorted(found.items()))
        left = Counter(name for row in rows["train"] for name in classes(row))
        wanted, taken = max(1, round(len(rows["train"]) * share)), list[Row]()
        for place, group in list(groups.items()):
            own = Counter(name for row in group for name in classes(row))
            if len(taken) < wanted and all(left[name] > own[name] for name in own):
                taken += groups.pop(place)
                left -= own
        train = [row for group in groups.values() for row in group]
        if not taken or len(train) < 2:
            raise ValueError(
                f"train: {len(rows['train'])} rows are too few to split {split} off them"
            )
        rows[split], rows["train"] = taken, train
    return rows


def _classes_of(columns: Columns) -> Callable[[Row], tuple[str, ...]]:
    """The classes of a row, where labels are classes."""
    label = columns.label
    if label is None or columns.kind != "classification":
        return lambda row: ()
    return lambda row: (str(row.get(label)),)


def _key_of(columns: Columns) -> Callable[[Row], str]:
    """What decides which split a row goes to: its text and pair, or the query it belongs to.

    What a model of vectors learned of a text helps it with all of that text's pairs.
    """
    about = kind_named(columns.kind) if columns.kind is not None else None
    if about is not None and about.grouped:
        query = columns.query_id or columns.text
        assert query is not None, "a ranking has queries"
        return lambda row: _hash({"query": row.get(query)})
    pair = None if about is not None and about.pairs == "split" else columns.pair
    names = [name for name in (columns.text, pair) if name is not None]
    return lambda row: _hash({name: row.get(name) for name in names})


def _hash(row: dict[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()


def _name(path: str) -> str:
    return path.removeprefix("bundled:").rstrip("/").split("/")[-1].split(".")[0]
