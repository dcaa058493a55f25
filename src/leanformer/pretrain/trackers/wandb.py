"""Weights & Biases; project, entity and mode are set by its own environment variables."""

import os
from collections.abc import Mapping

from leanformer.pretrain.trackers.interface import TrackedRun, Tracker


class WandB(Tracker):
    """Sends to a run of Weights & Biases, which goes on under the same id."""

    module = "wandb"
    package = "wandb"

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "leanformer"),
            name=run.name,
            id=run.key,
            resume="allow",
            dir=str(run.folder),
            config=dict(run.settings),
        )

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.numbers`."""
        self._run.log(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        """See `Tracker.text`."""
        self._run.log({name: text}, step=step)

    def end(self) -> None:
        """See `Tracker.end`."""
        self._run.finish()
