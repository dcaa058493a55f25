"""Measure exported folders side by side: time, memory, size, work."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from leanformer.core.quantity import Quantity
from leanformer.measure.flops import flops_per_token
from leanformer.measure.gates.drift import passed_on
from leanformer.measure.interleave import Tell, silent
from leanformer.measure.peak_memory import REQUESTS, peak_memory
from leanformer.measure.size import served_size
from leanformer.measure.systems import Measured, Open, measure_systems
from leanformer.models.io.load import load_model
from leanformer.runtime.manifest import read_manifest
from leanformer.runtime.serving.opening import described, open_system
from leanformer.runtime.serving.predictor import Predictor
from leanformer.runtime.session import Precision
from leanformer.runtime.systems.cascade import PARTS, Cascade
from leanformer.runtime.tokenizer import open_tokenizer
from leanformer.tasks import kind_named
from leanformer.text import split_words

Served = tuple[Path, str, Precision]
FOOTPRINT = ("memory", "size", "flops", "deferral")
"""The quantities of a folder that are not times."""


def measure_folders(
    served: Mapping[str, Served],
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    known: Mapping[str, Mapping[str, Quantity]] | None = None,
    rounds: int = 7,
    requests: int = REQUESTS,
    threads: int | None = None,
    tell: Tell = silent,
) -> tuple[dict[str, dict[str, Quantity]], Measured]:
    """The quantities of each folder by name, and the timings behind them.

    Args:
        served: Folder, backend and precision by name; the first one counts the tokens of the
            latencies.
        texts: A realistic mix of lengths; a hundred or more.
        pairs: Their second texts.
        known: `FOOTPRINT` of folders, as far as it is known; only the rest and times are measured.
        rounds: Timed calls of each system on each load.
        requests: That a folder answers while its memory is measured.
        threads: As many as there are cores, unless given.
        tell: Told what is being measured.

    Raises:
        FileNotFoundError: A folder was not exported by leanformer.
        ValueError: A file of one is damaged, or there are no texts.
    """
    systems = {name: folder_system(*one) for name, one in served.items()}
    length, most = _ruler(next(iter(served.values()))[0])
    measured = measure_systems(
        systems,
        length,
        texts,
        pairs,
        rounds=rounds,
        threads=threads,
        max_length=most,
        tell=tell,
    )
    found = {name: {**measured.quantities[name], **(known or {}).get(name, {})} for name in served}
    for name, one in served.items():
        if "memory" not in found[name]:
            tell(f"memory of {name}")
            found[name] |= _footprint(one, texts, pairs, threads, requests)
        if "deferral" not in found[name]:
            found[name] |= _deferral(one[0], texts, pairs, threads)
    return found, measured


def _footprint(
    served: Served,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    threads: int | None,
    requests: int,
) -> dict[str, Quantity]:
    """What does not depend on what else runs: memory, size, and work."""
    folder, backend, precision = served
    peak = peak_memory(
        folder,
        texts,
        pairs,
        backend=backend,
        precision=precision,
        threads=threads,
        requests=requests,
    )
    size = served_size(folder, backend, precision)
    return {"memory": peak, "size": size, **_flops(folder)}


def _deferral(
    folder: Path, texts: Sequence[str], pairs: Sequence[str] | None, threads: int | None
) -> dict[str, Quantity]:
    """Of a cascade, the share of the texts that its first system passes on."""
    if read_manifest(folder).system != Cascade.name:
        return {}
    system = open_system(folder, threads=threads)
    assert isinstance(system, Cascade)
    return {"deferral": Quantity(float(passed_on(system, texts, pairs).mean()), "")}


def folder_system(folder: Path, backend: str, precision: Precision) -> Open:
    """How an exported folder is opened to be timed, from strings to outputs."""
    described(folder, backend, precision)  # says what is wrong with a folder

    def opened(threads: int | None, rows: int | None) -> Predictor:
        return Predictor(open_system(folder, backend, precision, threads, rows=rows))

    return opened


def _ruler(folder: Path) -> tuple[Callable[[str], int], int | None]:
    """How a folder counts the tokens of a text, and how many it reads: a cascade as a part of it
    with tokens; without tokens, words."""
    with_tokens = _with_tokens(folder)
    if with_tokens is None:
        return lambda text: len(split_words(text)), None
    reader = open_tokenizer(with_tokens)
    return lambda text: len(reader(text).ids), reader.max_length


def _with_tokens(folder: Path) -> Path | None:
    """The folder, or the dearest part of it, that has a tokenizer."""
    if (folder / "tokenizer.json").is_file():
        return folder
    parts = [folder / name for name in reversed(PARTS) if (folder / name).is_dir()]
    return next(filter(None, map(_with_tokens, parts)), None)


def _flops(folder: Path) -> dict[str, Quantity]:
    """The work of a folder with PyTorch weights; of others it is not counted."""
    if not (folder / "model.safetensors").is_file():
        return {}
    model, _ = load_model(folder, kind_named(read_manifest(folder).kind).head)
    return {"flops": flops_per_token(model)}
