"""Tuples of texts as a bi-encoder reads them: each different text once, and who belongs to whom.

A text that occurs in many tuples (the premise of three hypotheses, a passage that is a negative of
many queries) is one row of token ids, and has one vector in a batch. Texts that the model reads
alike are one text: those that differ in case alone for an uncased tokenizer, or behind the last
token that is read.

Legend: U text, B tuple, C column (0 anchor, 1 positive, then negatives).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leanformer.core.shown import shown
from leanformer.data import Encoded, Examples, encode_examples
from leanformer.data.relations import Relations
from leanformer.retrieve.objectives.interface import Targets
from leanformer.tasks.labels import is_number

_SHOWN = 3  # rows that a message names


@dataclass(frozen=True)
class Tuples:
    """The tuples of a split.

    Attributes:
        texts: Token ids of each different text.
        places: The texts of each tuple: anchor, positive, negatives.
        targets: What the data say of each tuple, as the objective needs it; None = nothing.
        belongs: The texts that are known to belong to an anchor, itself among them.
    """

    texts: Encoded
    places: list[tuple[int, ...]]
    targets: list[Any] | None
    belongs: dict[int, frozenset[int]]

    def __len__(self) -> int:
        return len(self.places)


def encode_tuples(
    relations: Relations, targets: list[Any] | None, tokenizer: Any, max_length: int
) -> Tuples:
    """The tuples behind `relations`.

    Args:
        relations: The texts that belong together.
        targets: What is known of each row (`targets_of`).
        tokenizer: A fast transformers tokenizer.
        max_length: Longer texts are cut to this many tokens.
    """
    rows = [(anchor, *relations.candidates(row)) for row, anchor in enumerate(relations.anchors)]
    different = list(dict.fromkeys(text for row in rows for text in row))
    encoded = encode_examples(Examples(texts=different), tokenizer, "embedding", max_length)
    place: dict[tuple[int, ...], int] = {}
    kept, place_of = list[int](), dict[str, int]()
    for index, text in enumerate(different):
        ids = tuple(encoded.rows[index]["input_ids"])
        if ids not in place:
            place[ids] = len(kept)
            kept.append(index)
        place_of[text] = place[ids]
    places = [tuple(place_of[text] for text in row) for row in rows]
    belongs: dict[int, set[int]] = {}
    for anchor, positive, *_ in places:
        belongs.setdefault(anchor, {anchor}).add(positive)
    fixed = {anchor: frozenset(own) for anchor, own in belongs.items()}
    return Tuples(encoded.take(kept), places, targets, fixed)


def class_names(relations: Relations) -> tuple[str, ...]:
    """The classes of the training rows, sorted.

    Raises:
        ValueError: There are no labels, or fewer than two.
    """
    names = sorted(set(_labels("train", relations)))
    if len(names) < 2:
        raise ValueError(f"label: all rows have the class {shown(names[0])}; name two or more")
    return tuple(names)


def score_range(relations: Relations) -> tuple[float, float]:
    """The least and the largest score of the training rows.

    Raises:
        ValueError: There are no scores, or all are equal.
    """
    found = _numbers("train", relations)
    if min(found) == max(found):
        raise ValueError(f"label: all rows have the score {found[0]:g}; nothing can be learned")
    return min(found), max(found)


def targets_of(
    split: str,
    relations: Relations,
    kind: Targets,
    names: Sequence[str] = (),
    ends: tuple[float, float] = (0.0, 1.0),
) -> list[Any] | None:
    """What the data say of each row, in the form that an objective needs.

    Args:
        split: Its name, for errors.
        relations: The rows.
        kind: What the objective needs.
        names: Names of the classes.
        ends: The scores that become 0 and 1.

    Raises:
        ValueError: The data do not say it; the message says how to name it.
    """
    if kind == "none":
        _refuse_labels(split, relations)
        return None
    if kind == "teacher":
        if relations.scores is None:
            raise ValueError(
                f"{split}: no teacher's scores; name their column in [data]: scores, or a "
                "cross-encoder in the step: cross_encoder"
            )
        return list(relations.scores)
    if kind == "classes":
        labels = _labels(split, relations)
        if strange := sorted(set(labels) - set(names)):
            raise ValueError(
                f"{split}: label {shown(strange[0])} is not among those of train: "
                f"{', '.join(names)}"
            )
        return [names.index(label) for label in labels]
    low, high = ends
    found = _numbers(split, relations)
    if split == "train" and (beyond := [one for one in found if not low <= one <= high]):
        raise ValueError(
            f"train row {found.index(beyond[0]) + 1}: the score {beyond[0]:g} is beyond "
            f"score_range, [{low:g}, {high:g}]; name the scores that mean nothing in common and "
            "the same"
        )
    return [(number - low) / (high - low) for number in found]


def _labels(split: str, relations: Relations) -> list[str]:
    labels = relations.labels
    if labels is None:
        raise ValueError(f"{split}: no column of labels is read; name it in [data]: label")
    if missing := [number for number, label in enumerate(labels, 1) if not label]:
        rows = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
        raise ValueError(
            f"{split}: the label is missing in {len(missing)} of {len(labels)} rows ({rows}); give "
            "each row one, or remove it"
        )
    return list(labels)


def _numbers(split: str, relations: Relations) -> list[float]:
    labels = _labels(split, relations)
    for number, label in enumerate(labels, 1):
        if not is_number(label) or not abs(float(label)) < float("inf"):
            raise ValueError(
                f"{split} row {number}: label {shown(label)} is not a finite number; pairs with "
                "classes have the objective pair-classification"
            )
    return list(map(float, labels))


def _refuse_labels(split: str, relations: Relations) -> None:
    """Refuse to take all pairs for ones that belong together where labels tell them apart."""
    different = sorted(set(relations.labels or ()))
    if len(different) > 1:
        raise ValueError(
            f"{split}: the pairs have labels ({', '.join(map(shown, different[:_SHOWN]))}, …), and "
            "this objective takes each pair for texts that belong together; use cosine-score or "
            "cosent for scores, pair-classification for classes, or write the pairs that belong "
            "together into a file without labels"
        )
