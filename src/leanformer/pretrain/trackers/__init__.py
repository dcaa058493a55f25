"""Programs that draw the curves of trainings, by the names of `report_to`."""

from collections.abc import Sequence

from leanformer.pretrain.trackers.interface import TrackedRun, Tracker, installed
from leanformer.pretrain.trackers.mlflow import MLflow
from leanformer.pretrain.trackers.tensorboard import TensorBoard
from leanformer.pretrain.trackers.wandb import WandB

__all__ = ["TRACKERS", "TrackedRun", "Tracker", "chosen"]

TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}
"""All that there are."""


def chosen(names: Sequence[str] | None) -> list[type[Tracker]]:
    """The trackers of these names; None = TensorBoard where it is installed.

    Raises:
        ValueError: One is named whose package is not installed.
    """
    if names is None:
        return [one for one in (TensorBoard,) if installed(one)]
    for name in names:
        if not installed(TRACKERS[name]):
            raise ValueError(
                f"report_to: {name} is not installed: pip install '{TRACKERS[name].package}', or "
                "leave it out"
            )
    return [TRACKERS[name] for name in names]
