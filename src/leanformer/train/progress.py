"""Where a training is: into the record at each evaluation, and to whoever watches, at each step."""

from torch import nn

from leanformer.core.workspace import Workspace
from leanformer.train.course import Progress
from leanformer.train.loop import Hook


def recorder(workspace: Workspace) -> Hook:
    """A hook that records the evaluations of a training and tells the workspace's watcher."""
    recent: list[float] = []

    def hook(model: nn.Module, progress: Progress) -> None:
        recent.append(progress.loss)
        if workspace.watch is not None:
            workspace.watch(workspace.name, progress)
        if progress.quality is not None:
            workspace.record.write(
                "training",
                model=workspace.name,
                epoch=progress.epoch,
                step=progress.step,
                loss=sum(recent) / len(recent),
                dev=progress.quality,
            )
            recent.clear()

    return hook
