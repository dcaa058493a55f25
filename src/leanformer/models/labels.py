"""The labels of a head: those that the checkpoint has and those that the caller asks for."""

from collections.abc import Sequence
from typing import Any

from leanformer.models.checkpoint import Checkpoint


def label_settings(
    checkpoint: Checkpoint,
    head: str,
    num_labels: int | None,
    labels: Sequence[str] | None,
    trained: bool,
) -> dict[str, Any]:
    """The configuration's label fields, checked against a head that is there already.

    Args:
        checkpoint: The folder.
        head: As of `load_model`.
        num_labels: Labels asked for, or None.
        labels: Their names, or None.
        trained: Whether the checkpoint's own head is taken.

    Raises:
        ValueError: The labels contradict each other or the trained head, or a new head has none.
    """
    if head not in ("classification", "tokens"):
        return {}
    if labels is not None and num_labels not in (None, len(labels)):
        raise ValueError(f"num_labels is {num_labels} and labels has {len(labels)} names")
    count = len(labels) if labels is not None else num_labels
    if trained:
        own = _own_labels(checkpoint)
        unnamed = all(name == f"LABEL_{number}" for number, name in enumerate(own))
        if count not in (None, len(own)) or (labels and not unnamed and list(labels) != own):
            raise ValueError(
                f"{checkpoint.folder} has a trained head for {len(own)} labels ({_some(own)}), "
                f"and {count} were asked for{f' ({_some(labels)})' if labels else ''}; "
                "give the same labels in the same order, or ask for a fresh head"
            )
        count = len(own)
    elif count is None:
        raise ValueError(
            f"{checkpoint.folder} has no head for {head}; "
            "say how many labels a new one has (num_labels)"
        )
    settings: dict[str, Any] = {"num_labels": count}
    if labels is not None:
        settings["id2label"] = dict(enumerate(labels))
        settings["label2id"] = {name: number for number, name in enumerate(labels)}
    if count == 1 and head == "classification":
        settings["problem_type"] = "regression"
    return settings


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")


def _own_labels(checkpoint: Checkpoint) -> list[str]:
    names = checkpoint.config.get("id2label")
    if not names:
        return ["LABEL_0", "LABEL_1"]  # what transformers takes where the file is silent
    return [names[key] for key in sorted(names, key=int)]
