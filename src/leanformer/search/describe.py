"""The first line of a record: what is asked, of which data, on which machine."""

from leanformer.core.record import Record
from leanformer.core.version import __version__
from leanformer.data import Dataset
from leanformer.measure.environment import environment
from leanformer.search.request import Request


def describe(record: Record, dataset: Dataset, request: Request, command: str) -> None:
    """Write the `run` event, unless the record has it already."""
    if any(event["event"] == "run" for event in record.events()):
        return
    splits = {name: len(getattr(dataset, name)) for name in ("train", "dev", "test")}
    record.write(
        "run",
        command=command,
        version=__version__,
        model=request.model,
        student=request.student,
        task={"kind": dataset.task.kind, "labels": dataset.task.labels},
        data={"name": dataset.name, **splits, "unlabelled": len(dataset.unlabelled or ())},
        keep=request.keep,
        minutes=request.minutes,
        goal=request.goal,
        portable=request.portable,
        seed=request.seed,
        environment=environment(),
    )
