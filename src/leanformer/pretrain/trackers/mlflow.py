"""MLflow; server and experiment are set by its own environment variables."""

from collections.abc import Mapping

from leanformer.core.identity.differences import flat
from leanformer.core.storage.files import write_text
from leanformer.pretrain.trackers.interface import TrackedRun, Tracker

_LONGEST = 500  # characters of a parameter


class MLflow(Tracker):
    """Sends to a run of MLflow, whose id is kept in the folder so that it goes on."""

    module = "mlflow"
    package = "mlflow"

    def __init__(self, run: TrackedRun) -> None:
        import mlflow

        self._mlflow = mlflow
        kept = run.folder / "mlflow-run"
        if kept.is_file():
            mlflow.start_run(run_id=kept.read_text(encoding="utf-8").strip())
            return
        begun = mlflow.start_run(run_name=run.name)
        write_text(kept, begun.info.run_id)
        mlflow.log_params({_name(at): str(one)[:_LONGEST] for at, one in flat(run.settings)})

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.numbers`."""
        self._mlflow.log_metrics(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        """See `Tracker.text`."""
        self._mlflow.log_text(text, f"{name}-{step}.txt")

    def end(self) -> None:
        """See `Tracker.end`."""
        self._mlflow.end_run()


def _name(place: str) -> str:
    """A place in the recipe as MLflow takes it, which refuses brackets: "corpus.paths.0"."""
    return place.replace("[", ".").replace("]", "")
