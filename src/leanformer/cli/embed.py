"""`leanformer embed MODEL --in texts.csv --out DIR`: vectors of texts, whatever their number."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

_SHOWN = 5  # rows that were skipped


def embed(
    model: Annotated[
        str, typer.Argument(help="Exported folder, model folder, or name on the Hugging Face hub.")
    ],
    in_: Annotated[
        Path,
        typer.Option("--in", help="Texts: txt, csv, tsv, jsonl or parquet, or a folder of these."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the embeddings.")],
    column: Annotated[
        str | None, typer.Option(help="Column of the text; found by its usual names without it.")
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Column of the ids; rows are counted without it.")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Name of the prompt; the one for documents without it; '' for none."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="What is stored: float32 or float16.")] = "float32",
    batch_tokens: Annotated[
        int | None, typer.Option(help="Padded tokens per batch, at most.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores without it.")] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="Of an exported folder: openvino, onnxruntime or pytorch."),
    ] = None,
    skip_errors: Annotated[
        bool, typer.Option(help="Skip rows that cannot be read, list them, and go on.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option(help="Begin again where the folder holds other embeddings.")
    ] = False,
) -> None:
    """Embed files of any size; the same command goes on after a stop, and takes in added rows."""
    from itertools import islice

    from leanformer.cli.progress import EmbedWatcher
    from leanformer.core.machine.threads import check_threads
    from leanformer.retrieve.embed import embed_files

    check_threads(threads, "--threads")
    found = embed_files(
        model,
        in_,
        out,
        column=column,
        id=id_,
        prompt=prompt,
        dtype=dtype,  # type: ignore[arg-type]
        batch_tokens=batch_tokens,
        threads=threads,
        backend=backend,
        skip_errors=skip_errors,
        overwrite=overwrite,
        tell=EmbedWatcher(),
        command=shlex.join(["leanformer", *sys.argv[1:]]),
    )
    for one in islice(found.skipped_rows(), _SHOWN):
        typer.echo(f"skipped: {one['error']}", err=True)
    rows, width = found.vectors.shape
    skipped = f", {found.skipped:,} rows skipped ({out}/shard-*/skipped.jsonl)"
    typer.echo(
        f"{out}: {rows:,} vectors of {width} {found.listing.dtype} numbers"
        f"{skipped if found.skipped else ''}"
    )
