"""TensorBoard: event files in `tensorboard/`, which `tensorboard --logdir` reads."""

from collections.abc import Mapping

from leanformer.pretrain.trackers.interface import TrackedRun, Tracker


class TensorBoard(Tracker):
    """Writes event files through torch."""

    module = "tensorboard"
    package = "leanformer[tensorboard]"

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # what a killed run wrote after its checkpoint is not shown
        folder = str(run.folder / "tensorboard")
        self._writer = SummaryWriter(folder, purge_step=run.step + 1)  # type: ignore[no-untyped-call]

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.numbers`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

    def text(self, step: int, name: str, text: str) -> None:
        """See `Tracker.text`."""
        self._writer.add_text(name, text, step)  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """See `Tracker.end`."""
        self._writer.close()  # type: ignore[no-untyped-call]
