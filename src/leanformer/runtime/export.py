"""A trained model to a folder that is served: weights, tokenizer, graphs, description, race.

Every backend that is asked for is exported and proves itself; one that cannot be exported is left
out with its reason, and PyTorch always remains. The race then chooses on this machine.
"""

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leanformer.core.proof import Proof
from leanformer.core.storage.files import check_free, new_folder
from leanformer.data.task import Task
from leanformer.models.io.save import check_room, write_model
from leanformer.runtime.backends import find_backend, graph_file
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, read_manifest, write_manifest
from leanformer.runtime.race import By, Candidate, Row, race
from leanformer.runtime.tokenizer import compared_tokenizer
from leanformer.tasks import kind_named, served_kind

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
    modules_to_not_convert: tuple[str, ...] = (),
    made: Mapping[Candidate, Path] | None = None,
    threads: int | None = None,
    least_agreement: float = 0.95,
    batch_dependent: bool = False,
    by: By = "throughput",
    kept: Candidate | None = None,
    compared: Sequence[str] = (),
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[list[Row], list[Proof]]:
    """Export `model`, race the candidates on the calibration texts, and keep the winner.

    Args:
        model: The trained model with its head.
        tokenizer: Its tokenizer.
        task: What it does.
        folder: The folder to make; PyTorch weights and the winner's graph stay in it. It appears
            when the race is over.
        calibration: Texts for int8 and for the race; also decides max_length and pairs.
        candidates: What may race, besides PyTorch.
        modules_to_not_convert: Linear layers that stay in floating point in OpenVINO's int8.
        made: Graphs that exist and are proved; they are copied, so that the graph that was judged
            is served, with its own scales.
        threads: As many as there are cores, unless given.
        least_agreement: A candidate that agrees less with PyTorch fp32 cannot win.
        batch_dependent: Let `BATCH_DEPENDENT` candidates race too.
        by: What decides the race: throughput or latency.
        kept: The candidate that wins if it agrees, however fast others are; None = the fastest.
        compared: Texts on which the fast tokenizer must give the ids of Hugging Face's, beside the
            calibration's; give all that there are.
        overwrite: Replace the folder if it exists.
        tell: Told what is being done.

    Returns:
        The rows of the race, those that could not be exported included, and the winner's proofs;
        none where it was made before.
    """
    kind = served_kind(task.kind)
    limit = min(calibration.max_length, tokenizer.model_max_length)
    asked = dict.fromkeys([*candidates, *(BATCH_DEPENDENT if batch_dependent else ())])
    check_free(folder, overwrite=overwrite)
    check_room(model, tokenizer, folder)
    with new_folder(folder, overwrite=overwrite) as temporary:
        _save(model, tokenizer, kind, limit, temporary)
        proofs, failed = _export_all(
            model,
            kind,
            temporary,
            calibration,
            [*asked],
            modules_to_not_convert=modules_to_not_convert,
            made=made or {},
            tell=tell,
        )
        tell("comparing tokenizers")
        texts = [*calibration.texts, *(calibration.pairs or ()), *compared]
        described = _described(task, kind, limit, calibration)
        described = replace(described, tokenizer=compared_tokenizer(temporary, texts))
        write_manifest(temporary, described)
        tell("race")
        rows = race(
            temporary,
            calibration.texts,
            calibration.pairs,
            candidates=[*proofs, ("pytorch", "bf16")],
            least_agreement=least_agreement,
            threads=threads,
            batch_dependent=batch_dependent,
            by=by,
            kept=kept,
        )
        winner = _keep_winner(temporary, rows, failed, list(proofs))
    return [*rows, *failed], proofs.get(winner, [])


def _described(task: Task, kind: str, limit: int, calibration: Calibration) -> Manifest:
    """How the folder describes itself before the race."""
    return Manifest(
        kind=kind,
        labels=tuple(task.labels),
        thresholds=task.thresholds,
        max_length=limit,
        pairs=calibration.pairs is not None,
    )


def _keep_winner(
    folder: Path, rows: Sequence[Row], failed: Sequence[Row], exported: Sequence[Candidate]
) -> Candidate:
    """Remove the graphs that lost, and keep the table of the race."""
    chosen = next(row for row in rows if row.chosen)
    winner = chosen.backend, chosen.precision
    _remove_losers(folder, [one for one in exported if one != winner])
    table = tuple(vars(row) for row in [*rows, *failed])
    write_manifest(folder, replace(read_manifest(folder), race=table))
    return winner


def _save(model: Any, tokenizer: Any, kind: str, limit: int, folder: Path) -> None:
    """Weights and tokenizer."""
    if (
        kind_named(kind).output == "vector"
    ):  # sentence-transformers reads the length from the tokenizer's files
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.model_max_length = limit
    write_model(model, tokenizer, folder)


def _export_all(
    model: Any,
    kind: str,
    folder: Path,
    calibration: Calibration,
    asked: Sequence[Candidate],
    *,
    modules_to_not_convert: tuple[str, ...],
    made: Mapping[Candidate, Path],
    tell: Callable[[str], None],
) -> tuple[dict[Candidate, list[Proof]], list[Row]]:
    """The proofs of each candidate that was exported or copied, and a row with the reason of each
    that could not be."""
    proofs: dict[Candidate, list[Proof]] = {}
    failed: list[Row] = []
    for backend, precision in asked:
        if (backend, precision) in made:
            _copy(made[backend, precision], graph_file(folder, backend, precision))
            proofs[backend, precision] = []
            continue
        tell(f"exporting {find_backend(backend).title} {precision}")
        try:
            proofs[backend, precision] = find_backend(backend).export(
                model,
                kind,
                folder,
                precision=precision,
                calibration=calibration,
                modules_to_not_convert=modules_to_not_convert,
            )
        except (ValueError, ImportError, RuntimeError) as error:
            reason = f"could not be exported: {error}"
            failed.append(Row(backend=backend, precision=precision, reason=reason))
    return proofs, failed


def _copy(graph: Path, target: Path) -> None:
    """Copy a graph with the files of its stem, e.g. its weights, which it may name."""
    target.parent.mkdir(exist_ok=True)
    for file in _files(graph):
        shutil.copy2(file, target.with_suffix(file.suffix))


def _remove_losers(folder: Path, losers: Sequence[Candidate]) -> None:
    """Delete graphs that did not win, and folders that are empty then."""
    for one in losers:
        graph = graph_file(folder, *one)
        if graph.parent == folder:  # the weights stay, to be trained on
            continue
        for file in _files(graph):
            file.unlink()
        if not any(graph.parent.iterdir()):
            graph.parent.rmdir()


def _files(graph: Path) -> list[Path]:
    """A graph and the files of its stem."""
    return [file for file in graph.parent.glob(f"{graph.stem}.*") if file.is_file()]
