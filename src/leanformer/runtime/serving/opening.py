"""Open a served folder as what its manifest says; torch is imported for PyTorch only."""

from dataclasses import replace
from pathlib import Path

from leanformer.runtime.manifest import NAME, Manifest, check_files, read_manifest
from leanformer.runtime.session import Precision, Session
from leanformer.runtime.systems import System, find_system
from leanformer.runtime.systems.transformer import open_graph


def open_system(
    folder: Path,
    backend: str | None = None,
    precision: Precision | None = None,
    threads: int | None = None,
    concurrency: int = 1,
    *,
    rows: int | None = None,
) -> System:
    """The system of `folder`, ready to answer.

    Args:
        folder: A folder with `leanformer.json`.
        backend: The winner of the race when it was exported, unless named.
        precision: The winner's, or of a named backend the smallest that the folder holds.
        threads: Threads of one call; as many as there are cores, unless given.
        concurrency: Calls that are computed at a time, each with its threads.
        rows: Batches of so many texts in the caller's order, as most users run a model; None = the
            system's own batches.

    Raises:
        FileNotFoundError: The folder was not exported by leanformer.
        ValueError: The folder does not hold that model, or a file is damaged.
        ImportError: The backend is not installed.
    """
    manifest = checked(folder, backend, precision)
    return find_system(manifest.system).open(
        folder, manifest, threads=threads, concurrency=concurrency, rows=rows
    )


def open_session(
    folder: Path,
    backend: str | None = None,
    precision: Precision | None = None,
    threads: int | None = None,
    concurrency: int = 1,
) -> Session:
    """The graph of a transformer's folder without its tokenizer; arguments as for `open_system`."""
    manifest = checked(folder, backend, precision)
    return open_graph(folder, manifest, threads=threads, concurrency=concurrency)


def described(
    folder: Path, backend: str | None = None, precision: Precision | None = None
) -> Manifest:
    """The description of a folder, with the backend and the precision that are opened.

    Raises:
        FileNotFoundError: The folder was not exported by leanformer.
        ValueError: It does not hold that model, or the description is damaged.
    """
    manifest = read_manifest(folder)
    try:
        chosen = find_system(manifest.system).choose(manifest, backend, precision)
    except ValueError as error:
        raise ValueError(f"{folder / NAME}: {error}") from error
    return replace(manifest, backend=chosen[0], precision=chosen[1])


def files_of(folder: Path, manifest: Manifest) -> list[Path]:
    """The files that are needed to answer as `manifest` says: its own and those of the system."""
    return [folder / name for name in (NAME, *find_system(manifest.system).files(manifest))]


def checked(
    folder: Path, backend: str | None = None, precision: Precision | None = None
) -> Manifest:
    """The description of what is opened, its files compared with their checksums.

    Raises:
        FileNotFoundError: The folder was not exported by leanformer.
        ValueError: It does not hold that model, or a file is missing or damaged.
    """
    manifest = described(folder, backend, precision)
    check_files(folder, manifest, find_system(manifest.system).files(manifest))
    return manifest
