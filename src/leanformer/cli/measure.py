"""`leanformer measure DIR`: time, memory and size of exported models on this machine."""

from pathlib import Path
from typing import Annotated

import typer


def measure(
    folders: Annotated[list[Path], typer.Argument(help="Folders that leanformer exported.")],
    in_: Annotated[Path, typer.Option("--in", help="Texts like those to be served.")],
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    pair: Annotated[str | None, typer.Option(help="Column of the second text.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores without it.")] = None,
) -> None:
    """Measure folders side by side: latency, throughput, peak memory, size; drift of cascades."""
    from leanformer.core.machine.threads import check_threads
    from leanformer.data.inputs import read_texts
    from leanformer.measure.folders import measure_folders
    from leanformer.measure.gates.drift import measure_drift
    from leanformer.runtime.manifest import read_manifest

    check_threads(threads, "--threads")
    texts, pairs = read_texts(in_, text, pair)
    systems = {}
    for folder in folders:
        manifest = read_manifest(folder)
        systems[str(folder)] = (folder, manifest.backend, manifest.precision)
    found, _ = measure_folders(systems, texts, pairs, threads=threads)
    for name, quantities in found.items():
        typer.echo(f"{name}  {systems[name][1]} {systems[name][2]}")
        for key, quantity in quantities.items():
            spread = "" if quantity.low is None else f"  [{quantity.low:.4g}, {quantity.high:.4g}]"
            typer.echo(f"  {key:20} {quantity.value:.4g} {quantity.unit}{spread}")
        if "deferral" in quantities:
            drift = measure_drift(systems[name][0], texts, pairs, threads=threads)
            typer.echo(f"  {'deferral on dev':20} {drift.dev_rate:.4g}")
            if drift.drifted:
                typer.echo(f"warning: {name}: {drift.warning}", err=True)
