"""Measure exported folders side by side: time, memory, size, work."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from leanformer.core.quantity import Quantity
from leanformer.measure.flops import flops_per_token
from leanformer.measure.peak_memory import peak_memory
from leanformer.measure.size import served_size
from leanformer.measure.systems import Measured, System, measure_systems
from leanformer.measure.workload import ROWS
from leanformer.models.load import load_model
from leanformer.runtime.batching import Batch, batches_in_order
from leanformer.runtime.manifest import read_manifest
from leanformer.runtime.opening import open_session
from leanformer.runtime.predictor import Predictor
from leanformer.runtime.session import Backend, Precision
from leanformer.runtime.tokenizer import open_tokenizer
from leanformer.tasks import kind_named

Served = tuple[Path, Backend, Precision]


def measure_folders(
    served: Mapping[str, Served],
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    others: Mapping[str, System] | None = None,
    rounds: int = 7,
    threads: int | None = None,
) -> tuple[dict[str, dict[str, Quantity]], Measured]:
    """The quantities of each folder by name, and the timings behind them.

    Args:
        served: Folder, backend and precision by name; the first one's tokenizer counts the tokens
            of the latencies.
        texts: A realistic mix of lengths; a hundred or more.
        pairs: Their second texts.
        others: Systems without a folder, timed in the same rounds; only their times are measured.
        rounds: Timed calls of each system on each load.
        threads: As many as there are cores, unless given.

    Raises:
        FileNotFoundError: A folder was not exported by leanformer.
        ValueError: A file of one is damaged, or there are no texts.
    """
    systems = {name: folder_system(*one) for name, one in served.items()}
    reader = open_tokenizer(next(iter(served.values()))[0])
    measured = measure_systems(
        systems | dict(others or {}), reader, texts, pairs, rounds=rounds, threads=threads
    )
    quantities = dict(measured.quantities)
    for name, (folder, backend, precision) in served.items():
        quantities[name] = {
            **measured.quantities[name],
            "memory": peak_memory(
                folder, texts, pairs, backend=backend, precision=precision, threads=threads
            ),
            "size": served_size(folder, backend, precision),
            "flops": _flops(folder),
        }
    return quantities, measured


def folder_system(folder: Path, backend: Backend, precision: Precision) -> System:
    """An exported folder as a system that can be timed."""
    read_manifest(folder)  # says what is wrong with a folder
    opened = partial(_open, folder, backend, precision)
    in_order = partial(batches_in_order, rows=ROWS)
    return System(open=partial(opened, None), in_order=partial(opened, in_order))


def _open(
    folder: Path,
    backend: Backend,
    precision: Precision,
    plan: Callable[[list[int]], list[Batch]] | None,
    threads: int | None,
) -> Predictor:
    session = open_session(folder, backend, precision, threads)
    manifest = read_manifest(folder)
    reader = open_tokenizer(folder, manifest)
    return Predictor(session, reader, manifest, plan=plan)


def _flops(folder: Path) -> Quantity:
    kind = read_manifest(folder).kind
    model, _ = load_model(folder, kind_named(kind).head)
    return flops_per_token(model)
