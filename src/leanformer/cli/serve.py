"""`leanformer serve FOLDER`: an exported model or a search index over HTTP."""

from pathlib import Path
from typing import Annotated

import typer


def serve(
    folder: Annotated[
        Path, typer.Argument(help="What `leanformer compress` exported or `index` made.")
    ],
    host: Annotated[str, typer.Option(help="Name or address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 = one that is free.")] = 8000,
    workers: Annotated[int, typer.Option(help="Processes; each opens the folder.")] = 1,
    threads: Annotated[
        int | None, typer.Option(help="Threads per batch; the cores are shared out without it.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(help="Batches at a time; up to 4 without it, 1 for a lone request's sake."),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or pytorch; the winner without it.")
    ] = None,
    name: Annotated[str, typer.Option(help="Model name; the folder's without it.")] = "",
    api_key_file: Annotated[
        Path | None,
        typer.Option(help="Keys, one per line; else the environment's LEANFORMER_API_KEY."),
    ] = None,
    batch_tokens: Annotated[
        int | None, typer.Option(help="Tokens per batch; 512 per thread without it.")
    ] = None,
    queue_seconds: Annotated[
        float, typer.Option(help="Seconds of work that may wait; more is answered with 429.")
    ] = 2.0,
    queue_tokens: Annotated[
        int, typer.Option(help="Tokens that may wait, however fast they are computed.")
    ] = 65_536,
    seconds: Annotated[float, typer.Option(help="Time limit per request.")] = 30.0,
    max_body_mib: Annotated[int, typer.Option(help="MiB per request body.")] = 8,
    max_texts: Annotated[int, typer.Option(help="Texts per request.")] = 256,
    max_characters: Annotated[int, typer.Option(help="Characters per text.")] = 100_000,
    dimensions: Annotated[
        list[int] | None,
        typer.Option(help="Shorter embeddings that the model was trained for; once per width."),
    ] = None,
    refresh_seconds: Annotated[
        float, typer.Option(help="Seconds between looks for new passages of an index; 0 = never.")
    ] = 5.0,
    reranker: Annotated[
        str | None, typer.Option(help="Folder of the cross-encoder that a search reranks by.")
    ] = None,
) -> None:
    """Answer requests until Ctrl-C or SIGTERM; what was accepted is answered first.

    POST /predict, /v1/embeddings (OpenAI's form), /rerank or /search, as the folder can; GET
    /health, /ready, /metrics, /v1/models, /openapi.json; and a page to try it at /.
    """
    from leanformer.core.machine.threads import check_threads
    from leanformer.core.ranges import Count, Threads, check_number
    from leanformer.serve import Settings, serve
    from leanformer.serve.api_keys import read_api_keys

    check_threads(threads, "--threads")
    check_number(Count, max_body_mib, "--max-body-mib")
    check_number(Count, workers, "--workers")
    check_number(Threads, workers, "--workers")
    settings = Settings(
        name=name,
        backend=backend,
        threads=threads,
        concurrency=concurrency,
        batch_tokens=batch_tokens,
        queue_tokens=queue_tokens,
        queue_seconds=queue_seconds,
        seconds=seconds,
        max_body_bytes=max_body_mib * 2**20,
        max_texts=max_texts,
        max_characters=max_characters,
        dimensions=tuple(dimensions or ()),
        refresh_seconds=refresh_seconds,
        reranker=reranker,
    )
    keys = read_api_keys(api_key_file)
    if not keys and host not in ("127.0.0.1", "::1", "localhost"):
        typer.echo(f"no API key: whoever reaches {host} may ask (--api-key-file)", err=True)

    def tell(address: str) -> None:
        typer.echo(f"{settings.name or folder.resolve().name}: {address}")

    serve(folder, settings, host=host, port=port, workers=workers, keys=keys, tell=tell)
