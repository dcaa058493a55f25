"""The labels of a head: those that the checkpoint has and those that the caller asks for.

Output i of a head is its label i. A head whose config.json names no labels (`LABEL_0`, `LABEL_1`,
…) is unnamed. A caller of `load_model` may name its outputs, in order. Of a data set's labels only
whole numbers, as many as the head has outputs, say which output is theirs: output 0 is for the
least.
"""

from collections.abc import Sequence
from typing import Any

from leanformer.core.label_order import are_numbers, sort_labels
from leanformer.core.shown import shown
from leanformer.models.io.checkpoint import Checkpoint

FRESH = "--fresh-head (compress), fresh_head = true (a recipe) or fresh_head=True (load_model)"
_HEADS = ("classification", "tokens")


def label_settings(
    checkpoint: Checkpoint,
    head: str,
    num_labels: int | None,
    labels: Sequence[str] | None,
    trained: bool,
    problem_type: str = "",
) -> dict[str, Any]:
    """The configuration's label fields, checked against a head that is there already.

    Args:
        checkpoint: The folder.
        head: As of `load_model`.
        num_labels: Labels asked for, or None.
        labels: Their names, or None.
        trained: Whether the checkpoint's own head is taken.
        problem_type: What the head is for, in transformers' words; "" = told from the labels.

    Raises:
        ValueError: The labels contradict each other or the trained head, or a new head has none.
    """
    if head not in _HEADS:
        return {}
    if labels is not None and num_labels not in (None, len(labels)):
        raise ValueError(f"num_labels is {num_labels} and labels has {len(labels)} names")
    count = len(labels) if labels is not None else num_labels
    if trained:
        names = _of_trained(checkpoint, head, count, labels, problem_type)
        purpose = checkpoint.config.get("problem_type")
        if head == "classification" and count is not None and not purpose:
            purpose = problem_type or _purpose(len(names))
    elif count is None:
        raise ValueError(
            f"{checkpoint.folder} has no head for {head}; "
            "say how many labels a new one has (num_labels)"
        )
    else:
        names = list(labels) if labels is not None else _unnamed(count)
        purpose = (problem_type or _purpose(count)) if head == "classification" else None
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
        "problem_type": purpose,
    }


def own_labels(checkpoint: Checkpoint) -> list[str]:
    """The names of a trained head's outputs, in order; `LABEL_0` … where there are none.

    Raises:
        ValueError: The fields of config.json that name them contradict each other.
    """
    config, file = checkpoint.config, checkpoint.folder / "config.json"
    forth, back, count = (config.get(key) for key in ("id2label", "label2id", "num_labels"))
    if count is not None and type(count) is not int:
        raise ValueError(f"{file}: num_labels is {shown(count)}, which is not a whole number")
    names = _listed(forth, f"{file}: id2label") if forth else _unnamed(count or 2)
    if count not in (None, len(names)):
        raise ValueError(f"{file}: num_labels is {count} and id2label has {len(names)} names")
    others = _listed(_turned(back), f"{file}: label2id") if back else []
    if others == _unnamed(len(others)):  # what transformers writes unasked, of any length
        return names
    if names != _unnamed(len(names)) and others != names:
        raise ValueError(
            f"{file}: id2label says {_some(names)} and label2id {_some(others)}; remove the one "
            "that is wrong"
        )
    if len(others) != len(names):
        raise ValueError(
            f"{file}: id2label has {len(names)} names and label2id {len(others)}; "
            "name all labels in id2label"
        )
    return others


def matched_labels(
    checkpoint: Checkpoint, head: str, labels: Sequence[str], problem_type: str = ""
) -> tuple[str, ...]:
    """The labels of a trained head in its own order, as a data set writes them.

    Args:
        checkpoint: A folder with a trained head.
        head: "classification" or "tokens".
        labels: The data's labels: the head's names, or some of them, in any order. Of an unnamed
            head some of "LABEL_0", "LABEL_1", …, or as many whole numbers as it has outputs; output
            0 is for the least.
        problem_type: As of `label_settings`.

    Raises:
        ValueError: The head is of another kind, or has no such labels.
    """
    own = own_labels(checkpoint)
    asked = problem_type or "single_label_classification"
    _refuse_other_purpose(checkpoint, head, len(own), asked)
    return _matched(checkpoint, own, labels)


def _matched(checkpoint: Checkpoint, own: list[str], labels: Sequence[str]) -> tuple[str, ...]:
    """The spelling of the head's own labels that all of these labels belong to."""
    if set(labels) <= set(own):
        return tuple(own)
    if own == _unnamed(len(own)) and len(set(labels)) == len(own) and are_numbers(set(labels)):
        return sort_labels(set(labels))
    if own != _unnamed(len(own)):
        strangers = [label for label in labels if label not in own]
        raise ValueError(
            f"{checkpoint.folder} has a trained head for {len(own)} labels ({_some(own)}), and the "
            f"data has others ({_some(strangers)}); write the data's labels as the head does, or "
            f"ask for a fresh head: {FRESH}"
        )
    raise ValueError(
        f"{checkpoint.folder} has a trained head for {len(own)} labels without names, so nothing "
        f"says which of them is which of the data's ({_some(labels)}); name them in id2label of "
        f"{checkpoint.folder / 'config.json'}, in the head's order, or ask for a fresh head: "
        f"{FRESH}"
    )


def _of_trained(
    checkpoint: Checkpoint,
    head: str,
    count: int | None,
    labels: Sequence[str] | None,
    problem_type: str,
) -> list[str]:
    """The names of a trained head, which must be those that were asked for, in their order."""
    own = own_labels(checkpoint)
    if count is not None:
        number = count == 1 and labels is None
        told = "regression" if number else "single_label_classification"
        _refuse_other_purpose(checkpoint, head, len(own), problem_type or told)
    if labels and (
        _are_names(labels, own) or list(_matched(checkpoint, own, labels)) == list(labels)
    ):
        return list(labels)
    if labels or count not in (None, len(own)):
        raise ValueError(
            f"{checkpoint.folder} has a trained head for {len(own)} labels ({_some(own)}), "
            f"and {count} were asked for{f' ({_some(labels)})' if labels else ''}; "
            f"give the same labels in the same order, or ask for a fresh head: {FRESH}"
        )
    return own


def _are_names(labels: Sequence[str], own: list[str]) -> bool:
    """Whether labels name the outputs of an unnamed head: one each, no numbers of outputs."""
    counted = any(label in own or are_numbers({label}) for label in labels)
    return own == _unnamed(len(own)) and len(set(labels)) == len(own) and not counted


def _refuse_other_purpose(checkpoint: Checkpoint, head: str, count: int, asked: str) -> None:
    """Refuse a head that was trained for another kind of task."""
    if head != "classification":
        return
    said = checkpoint.config.get("problem_type")
    purpose = said or _purpose(count)
    if purpose == asked:
        return
    trained_for = {
        "regression": "regression",
        "single_label_classification": f"classification in {count} classes",
        "multi_label_classification": "multi-label classification, several labels per text",
    }.get(str(purpose), str(purpose))
    task = {
        "single_label_classification": "classification, one label per text",
        "multi_label_classification": "multi-label classification, several labels per text",
    }.get(asked, asked)
    raise ValueError(
        f"{checkpoint.folder} has a trained head for {trained_for} (problem_type in config.json is "
        f"{shown(said)}), and the task is {task}; ask for a fresh head: {FRESH}"
    )


def _purpose(count: int) -> str:
    """What a head of so many outputs is for, in transformers' words, if nothing else is said."""
    return "regression" if count == 1 else "single_label_classification"


def _unnamed(count: int) -> list[str]:
    return [f"LABEL_{number}" for number in range(count)]


def _turned(table: Any) -> Any:
    """A table of names and numbers as one of numbers and names."""
    if not isinstance(table, dict):
        return table
    return {str(number): name for name, number in table.items()}


def _listed(table: Any, place: str) -> list[str]:
    """The names in a table of numbers and names, in order: each number once, and each name."""
    try:
        numbered = {int(number): name for number, name in table.items()}
        names = [numbered[number] for number in range(len(table))]
    except (AttributeError, TypeError, ValueError, KeyError):
        raise ValueError(f"{place} must give one name for each of 0, 1, 2, …") from None
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        shown = _some([repr(name) for name in names])
        raise ValueError(f"{place} must give each output a name of its own; it gives {shown}")
    return names


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")
