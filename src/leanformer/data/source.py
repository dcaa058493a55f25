"""Where a data set comes from: a folder of splits, one file, the hub, or what is bundled.

    folder/             train.tsv, dev.tsv, test.tsv, unlabelled.txt (any format of `table`)
    file.tsv            one file, split 80/10/10 by a hash of the text
    name-on-the-hub     `datasets.load_dataset`
    bundled:intents     the hand-written intents of the demo

The development split may be called dev, valid, validation or val. A missing one is split off the
training rows, the same way on every machine. Rows with one text (and pair) stay together, whatever
their other columns hold, and so do those of a query; the last rows of a class stay in train.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from leanformer.core.ranges import Count, ranged
from leanformer.data.chosen_columns import Columns
from leanformer.data.columns import columns_of, kind_of, to_dataset
from leanformer.data.table import FORMATS, Row, format_of, read_rows
from leanformer.data.task import Dataset
from leanformer.tasks import kind_named

_NAMES = {
    "train": ("train",),
    "dev": ("dev", "valid", "validation", "val"),
    "test": ("test",),
    "unlabelled": ("unlabelled", "unlabeled", "unsup"),
}
_SHARE = {"dev": 0.1, "test": 0.1}  # split off where a split is missing


@dataclass(frozen=True, kw_only=True)
@ranged
class Source:
    """How to read a data set; every field but `path` may be left to be found out.

    Attributes:
        path: File, folder, hub name, or "bundled:intents".
        kind: Kind of task; None = told from the columns.
        text: Column of the text.
        pair: Column of the second text.
        label: Column of the label; for multi-label also several columns of 0 and 1: "anger,joy".
        query_id: Column of the query's id, where texts are ranked by query; None = rows with the
            same text of the query belong together.
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
    unlabelled: Path | None = None
    limit: Count | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None:
            kind_named(self.kind)

    def read(self) -> Dataset:
        """The data set, checked.

        Raises:
            FileNotFoundError: A file or folder is missing.
            ValueError: Something in it is not as it must be; the message says where.
        """
        rows = _found(self.path)
        columns = Columns(
            kind=self.kind,
            text=self.text,
            pair=self.pair,
            label=self.label,
            query_id=self.query_id,
            metric=self.metric,
        )
        first = rows["train"][0]
        chosen = columns if "words" in first else columns_of(first, columns)
        key = _key_of(first, chosen)
        if not _SHARE.keys() <= rows.keys():
            rows = _split_off(rows, key, _classes_of(rows["train"], chosen))
        if self.unlabelled is not None:
            rows["unlabelled"] = read_rows(self.unlabelled)
        if self.limit is not None:
            rows["train"] = sorted(rows["train"], key=key)[: self.limit]
        return to_dataset(_name(self.path), rows, columns)


def _found(path: str) -> dict[str, list[Row]]:
    if path.startswith("bundled:"):
        return _folder(_bundled(path.removeprefix("bundled:")))
    place = Path(path).expanduser()
    if place.is_dir():
        return _folder(place)
    if place.is_file():
        return {"train": read_rows(place)}
    if format_of(place) or path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise FileNotFoundError(f"{path}: no such file or folder")
    return _hub(path)


def _bundled(name: str) -> Path:
    folder = Path(str(files("leanformer.data"))) / "bundled" / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"bundled:{name}: there is no such data set; there is bundled:intents"
        )
    return folder


def _folder(folder: Path) -> dict[str, list[Row]]:
    rows = {}
    for split, names in _NAMES.items():
        found = [
            folder / f"{name}{suffix}{gz}"
            for name in names
            for suffix in FORMATS
            for gz in ("", ".gz")
            if (folder / f"{name}{suffix}{gz}").is_file()
        ]
        if len(found) > 1:
            raise ValueError(
                f"{folder}: both {found[0].name} and {found[1].name}; keep one of them"
            )
        if found:
            rows[split] = read_rows(found[0])
    if "train" not in rows:
        raise FileNotFoundError(
            f"{folder}: no train.tsv (.csv, .jsonl, .conll, .txt, also .gz) in it"
        )
    return rows


def _hub(name: str) -> dict[str, list[Row]]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise FileNotFoundError(
            f"{name}: no such file or folder; for the hub: pip install 'leanformer[hub]'"
        ) from error
    try:
        splits = load_dataset(name)
    except Exception as error:
        raise FileNotFoundError(
            f"{name}: no such file or folder here, and the hub did not give it ({error})"
        ) from error
    rows = {}
    for split, names in _NAMES.items():
        chosen = next((known for known in names if known in splits), None)
        if chosen is not None:
            features = splits[chosen].features
            named = {key: item.names for key, item in features.items() if hasattr(item, "names")}
            rows[split] = [_with_names(dict(row), named) for row in splits[chosen]]
    if "train" not in rows:
        raise ValueError(f"{name}: the hub's data set has no split called train")
    return rows


def _with_names(row: Row, named: dict[str, list[str]]) -> Row:
    """Class labels as names; -1, the hub's mark for a hidden label, as no label."""
    for key, names in named.items():
        if isinstance(row[key], int):
            row[key] = names[row[key]] if row[key] >= 0 else ""
    return row


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
        groups: dict[str, list[Row]] = {}
        for row in sorted(rows["train"], key=key):
            groups.setdefault(key(row), []).append(row)
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


def _classes_of(rows: list[Row], columns: Columns) -> Callable[[Row], tuple[str, ...]]:
    """The classes of a row, where labels are classes."""
    label = columns.label
    if label is None or kind_of(rows, columns) != "classification":
        return lambda row: ()
    return lambda row: (str(row.get(label)),)


def _key_of(first: Row, columns: Columns) -> Callable[[Row], str]:
    """What decides which split a row goes to: its text and pair, or the query it belongs to."""
    about = kind_named(columns.kind) if columns.kind is not None else None
    if about is not None and about.grouped:
        query = columns.query_id or columns.text
        assert query is not None, "a ranking has queries"
        return lambda row: _hash({"query": row.get(query)})
    read = ["words"] if "words" in first else [columns.text, columns.pair]
    names = [name for name in read if name is not None]
    return lambda row: _hash({name: row.get(name) for name in names})


def _hash(row: Row) -> str:
    return hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()


def _name(path: str) -> str:
    return path.removeprefix("bundled:").rstrip("/").split("/")[-1].split(".")[0]
