"""A small search to learn: questions about things, and sentences that answer them."""

import json
from pathlib import Path
from typing import Any

from leanformer.data.relations import Relations
from leanformer.models.tiny import tiny_model

NAMES = ("fox", "dog", "card", "rice", "music", "table", "mountains", "people")
WORDS = ("the quick", "brown", "lazy", "my wonderful", "charged", "people and the")


def related(negatives: int = 0, start: int = 0, rows: int = 24, **more: Any) -> Relations:
    """Questions that name a thing, and answers that name it too."""
    anchors, positives, others = [], [], []
    for row in range(start, start + rows):
        name, word = NAMES[row % 8], WORDS[row % 6]
        anchors.append(f"where is {word} {name}")
        positives.append(f"{name} over {WORDS[(row + 1) % 6]} back")
        others.append(tuple(f"{NAMES[(row + 1 + k) % 8]} over {word}" for k in range(negatives)))
    return Relations(
        anchors=tuple(anchors), positives=tuple(positives), negatives=tuple(others), **more
    )


def write_pairs(folder: Path, negatives: int = 0, label: Any = None) -> Path:
    """The same as jsonl, with splits."""
    folder.mkdir(parents=True)
    for split, start in (("train", 0), ("dev", 100), ("test", 200)):
        found = related(negatives, start)
        lines = []
        for row, anchor in enumerate(found.anchors):
            line: dict[str, Any] = {"anchor": anchor, "positive": found.positives[row]}
            if negatives:
                line["negatives"] = list(found.negatives[row])
            if label is not None:
                line["label"] = label(row)
            lines.append(json.dumps(line))
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return folder


def encoder(family: str = "bert", **settings: Any) -> tuple[Any, Any]:
    """A tiny encoder with dropout."""
    return tiny_model(family, head="embedding", **settings)
