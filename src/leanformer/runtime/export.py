"""A trained model to a folder that is served: weights, tokenizer, graphs, description, race.

Every backend that is asked for is exported and proves itself; one that cannot be exported is left
out with its reason, and PyTorch always remains. The race then chooses on this machine.
"""

import copy
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leanformer.core.proof import Proof
from leanformer.data.task import Task
from leanformer.models.save import save_model
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, read_manifest, write_manifest
from leanformer.runtime.onnx_backend import export_onnx
from leanformer.runtime.openvino_backend import export_openvino
from leanformer.runtime.race import Candidate, Row, race
from leanformer.runtime.session import graph_file
from leanformer.tasks import served_kind

DEFAULT: tuple[Candidate, ...] = (
    ("openvino", "int8"),
    ("openvino", "bf16"),
    ("openvino", "fp32"),
    ("onnxruntime", "fp32"),
)
BATCH_DEPENDENT: tuple[Candidate, ...] = (("onnxruntime", "int8"),)
"""Candidates whose answers change with the other texts of a batch; they race only on request."""


def export_folder(
    model: Any,
    tokenizer: Any,
    task: Task,
    folder: Path,
    calibration: Calibration,
    *,
    candidates: Sequence[Candidate] = DEFAULT,
    keep_float: tuple[str, ...] = (),
    made: Mapping[Candidate, Path] | None = None,
    threads: int | None = None,
    least_agreement: float = 0.95,
    batch_dependent: bool = False,
    overwrite: bool = False,
) -> tuple[list[Row], list[Proof]]:
    """Export `model`, race the candidates on the calibration texts, and keep the winner.

    Args:
        model: The trained model with its head.
        tokenizer: Its tokenizer.
        task: What it does.
        folder: The folder to make; PyTorch weights and the winner's graph stay in it.
        calibration: Texts for int8 and for the race; also decides max_length and pairs.
        candidates: What may race, besides PyTorch.
        keep_float: Linear layers that stay in floating point in OpenVINO's int8.
        made: Folders of graphs that exist and are proved; they are copied, so that the graph that
            was judged is served, with its own scales.
        threads: As many as there are cores, unless given.
        least_agreement: A candidate that agrees less with PyTorch fp32 cannot win.
        batch_dependent: Let `BATCH_DEPENDENT` candidates race too.
        overwrite: Replace the folder if it exists.

    Returns:
        The rows of the race, those that could not be exported included, and the winner's proofs;
        none where it was made before.
    """
    kind = served_kind(task.kind)
    limit = min(calibration.max_length, tokenizer.model_max_length)
    if (
        task.about.output == "vector"
    ):  # sentence-transformers reads the length from the tokenizer's files
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.model_max_length = limit
    save_model(model, tokenizer, folder, overwrite=overwrite)
    failed: list[Row] = []
    proofs: dict[Candidate, list[Proof]] = {}
    asked = [*candidates, *(BATCH_DEPENDENT if batch_dependent else ())]
    for backend, precision in dict.fromkeys(asked):
        target = graph_file(folder, backend, precision).parent
        if made and (backend, precision) in made:
            shutil.copytree(made[backend, precision], target)
            proofs[backend, precision] = []
            continue
        try:
            proofs[backend, precision] = _export_one(
                model, kind, target, (backend, precision), calibration, keep_float
            )
        except (ValueError, ImportError, RuntimeError) as error:
            reason = f"could not be exported: {error}"
            failed.append(Row(backend=backend, precision=precision, reason=reason))
    pairs = calibration.pairs is not None
    labels = tuple(task.labels)
    manifest = Manifest(
        kind=kind, labels=labels, thresholds=task.thresholds, max_length=limit, pairs=pairs
    )
    write_manifest(folder, manifest)
    chosen = [*proofs, ("pytorch", "bf16")]
    rows = race(
        folder,
        calibration.texts,
        calibration.pairs,
        candidates=chosen,
        least_agreement=least_agreement,
        threads=threads,
        batch_dependent=batch_dependent,
    )
    winner = next(row for row in rows if row.chosen)
    _remove_losers(folder, proofs, (winner.backend, winner.precision))
    table = tuple(vars(row) for row in [*rows, *failed])
    write_manifest(folder, replace(read_manifest(folder), race=table))
    return [*rows, *failed], proofs.get((winner.backend, winner.precision), [])


def _remove_losers(folder: Path, exported: Iterable[Candidate], winner: Candidate) -> None:
    """Delete the graphs that did not win, and folders that are empty then."""
    for one in exported:
        if one != winner:
            place = graph_file(folder, *one).parent
            shutil.rmtree(place)
            if not any(place.parent.iterdir()):
                place.parent.rmdir()


def _export_one(
    model: Any,
    kind: str,
    target: Path,
    candidate: Candidate,
    calibration: Calibration,
    keep_float: tuple[str, ...],
) -> list[Proof]:
    backend, precision = candidate
    pairs = calibration.pairs is not None
    if backend == "onnxruntime":
        return export_onnx(model, kind, target, precision=precision, pairs=pairs)
    return export_openvino(
        model,
        kind,
        target,
        precision=precision,
        pairs=pairs,
        calibration=calibration,
        keep_float=keep_float,
    )
