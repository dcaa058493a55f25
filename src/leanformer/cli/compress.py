"""`leanformer compress MODEL DATA`: from a trained model to a small, fast, measured one."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leanformer.cli.plan import tell_plan

if TYPE_CHECKING:
    from leanformer.search import Request

_SOURCE = {
    "path": "data",
    "kind": "task",
    "text": "text",
    "pair": "pair",
    "label": "label",
    "query_id": "query_id",
    "unlabelled": "unlabelled",
    "limit": "limit",
    "metric": "metric",
}  # field of `Source` -> option


def compress(
    model: Annotated[str, typer.Argument(help="Model folder or hub name.")],
    data: Annotated[str, typer.Argument(help="Folder, file, hub name, or bundled:intents.")],
    task: Annotated[
        str | None,
        typer.Option(help="classification, multi-label, regression, ranking, tokens or embedding."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="What quality is: accuracy, macro-f1, mcc, f1:LABEL; micro-f1; spearman, pearson; "
            "ndcg@10, mrr@10."
        ),
    ] = None,
    keep: Annotated[float, typer.Option(help="Share of the teacher's quality to keep.")] = 0.99,
    confidence: Annotated[
        float, typer.Option(help="How sure dev has to be of that for it to be proven.")
    ] = 0.9,
    goal: Annotated[
        str,
        typer.Option(
            "--for", help="What is made small or fast: throughput, latency, size or memory."
        ),
    ] = "throughput",
    portable: Annotated[
        bool,
        typer.Option("--portable", help="Choose only what transformers loads without leanformer."),
    ] = False,
    minutes: Annotated[
        float, typer.Option(help="What the whole search may take; trainings are shortened to fit.")
    ] = 60.0,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("lean"),
    text: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    pair: Annotated[str | None, typer.Option(help="Column of the second text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    query_id: Annotated[
        str | None, typer.Option(help="Column of the query's id, for ranking.")
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="File of texts without labels, to distil on.")
    ] = None,
    augment: Annotated[
        int | None,
        typer.Option(
            help="Altered copies of each text to distil on; by default two where labels are few."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Use so many training rows only.")] = None,
    max_length: Annotated[int, typer.Option(help="Cut texts to this many tokens.")] = 128,
    teacher_epochs: Annotated[float | None, typer.Option(help="Epochs of fine-tuning.")] = None,
    student_epochs: Annotated[float | None, typer.Option(help="Epochs of distilling.")] = None,
    min_count: Annotated[
        int, typer.Option(help="Cut word pieces seen less often from the vocabulary.")
    ] = 1,
    first_pieces: Annotated[
        int, typer.Option(help="Keep the first so many pieces of the vocabulary in any case.")
    ] = 12_000,
    threads: Annotated[int, typer.Option(help="Threads; 0 = all cores.")] = 0,
    device: Annotated[
        str, typer.Option(help="Where to train: auto, cpu, cuda, cuda:1 or mps.")
    ] = "auto",
    batch_dependent: Annotated[
        bool,
        typer.Option(
            "--batch-dependent",
            help="Let graphs race whose answers depend on the other texts of a batch.",
        ),
    ] = False,
    student: Annotated[
        str | None,
        typer.Option(
            help="Encoder that students are cut from, for a model of any architecture; without it, "
            "the model itself."
        ),
    ] = None,
    fresh_head: Annotated[
        bool,
        typer.Option("--fresh-head", help="Train a new head in place of the model's own."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say the plan and end: nothing is written.")
    ] = False,
) -> None:
    """Find the fastest (or, with --for, the smallest) model that keeps the quality.

    Stopped, the same command resumes.

    Exit codes: 0 the promise is kept, 3 exported but not proven, 4 not kept, 2 wrong usage.
    """
    request = _request(dict(locals()))
    from leanformer.cli.progress import Watcher
    from leanformer.cli.verdict import tell_verdict
    from leanformer.core.machine.threads import check_threads
    from leanformer.search import compress as search

    check_threads(request.threads or None, "--threads")
    if dry_run:
        _tell_plan(request, out)
        return
    command = shlex.join(["leanformer", *sys.argv[1:]])
    page = search(request, out, command=command, watch=Watcher())
    if (out / "model").is_dir():
        typer.echo(f"model   {out / 'model'}")
    typer.echo(f"report  {page}")
    tell_verdict(out / "record.jsonl")


def _request(options: dict[str, Any]) -> "Request":
    """The options of the command as a request, those of the data as its source."""
    from leanformer.core import codec
    from leanformer.search import Request

    del options["out"], options["dry_run"]
    source = {field: options.pop(name) for field, name in _SOURCE.items()}
    options["data"] = {field: value for field, value in source.items() if value is not None}
    request: Request = codec.decode(Request, options)
    return request


def _tell_plan(request: "Request", out: Path) -> None:
    """Print the plan; nothing is written."""
    from leanformer.search.claim import claim
    from leanformer.search.planning.prepare import prepare

    dataset, opened, plan = prepare(request)
    claim(out, request, dataset, opened, write=False)
    tell_plan(plan)
