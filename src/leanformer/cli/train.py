"""`leanformer train`: a language model, pre-trained or trained on, from texts."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

_GO_ON = 75  # sysexits' EX_TEMPFAIL: the same command does the rest


def train(
    context: typer.Context,
    recipe: Annotated[
        Path | None, typer.Argument(help="TOML file; or the common case by the options below.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; runs/NAME.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="train.epochs=2; may be repeated.")
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(help="File (.txt, .jsonl, .parquet), folder or hub name; may be repeated."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="causal-lm or masked-lm.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Folder or hub name of a model to go on from.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="A new model: gpt2, llama, bert, roberta, modernbert, …")
    ] = None,
    size: Annotated[str | None, typer.Option(help="mini, small, base or large.")] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Folder or hub name; by default one is trained.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="End after so many, with a checkpoint.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and end: nothing is written.")
    ] = False,
) -> None:
    """Pre-train a language model on texts, or go on with one; stopped, the same command resumes.

    Exit codes: 0 done; 75 the time of --minutes is over, and 130 or 143 a signal came: the same
    command goes on; 2 wrong usage.
    """
    import torch.distributed as dist

    from leanformer.cli.training_progress import TrainingWatcher
    from leanformer.core.ranks import follows
    from leanformer.pretrain import begin, described, read, run
    from leanformer.report.training import write_training_page

    flags = {
        "texts": texts,
        "kind": kind,
        "model": model,
        "architecture": architecture,
        "size": size,
        "tokenizer": tokenizer,
    }
    settings = [*(set_ or []), *([] if device is None else [f'device="{device}"'])]
    if minutes is not None and not minutes > 0:
        raise ValueError(f"--minutes: {minutes:g} is not above 0")
    if recipe is not None:
        given = [f"--{name}" for name, value in flags.items() if value]
        if given:
            raise ValueError(
                f"{', '.join(given)}: {recipe} says that already; change it there, or with --set"
            )
        asked = read(recipe, settings)
    else:
        asked = described(from_flags(flags), settings)
    folder = out or Path("runs") / (recipe.stem if recipe else "train")
    if dry_run:
        found = begin(asked, folder.resolve(), write=False)
        typer.echo(f"{found}: everything fits, and nothing was written; leave out --dry-run")
        return
    signals = context.obj
    outcome = run(
        asked,
        folder.resolve(),
        command=shlex.join(["leanformer", *sys.argv[1:]]),
        watch=TrainingWatcher(),
        patience=None if signals is None else signals.patience,
        minutes=minutes,
    )
    first = not follows()
    page = write_training_page(folder / "events.jsonl") if first else None
    if dist.is_initialized():
        dist.destroy_process_group()
    if outcome.stopped:
        if first:
            typer.echo(
                f"stopped after step {outcome.step}; the same command goes on from here", err=True
            )
        if signals is not None:
            signals.told = True
        raise typer.Exit(signals.code if signals is not None and signals.came else _GO_ON)
    if first:
        if outcome.already:
            typer.echo(
                f"done before: {outcome.step} steps; remove {folder} to train anew", err=True
            )
        typer.echo(f"model   {folder / 'model'}\nevents  {folder / 'events.jsonl'}")
        typer.echo(f"report  {page}")
        if outcome.evaluation:
            typer.echo(_evaluated(outcome.evaluation))


def from_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """The recipe that the options say, as a TOML table.

    Raises:
        ValueError: Texts are missing, or options exclude each other.
    """
    from leanformer.core import codec
    from leanformer.pretrain.recipe import usual_training

    if not flags["texts"]:
        raise ValueError("name a recipe, or texts: leanformer train --texts corpus.txt")
    new = {name: flags[name] for name in ("architecture", "size") if flags[name]}
    if flags["model"] and new:
        raise ValueError(
            f"--model, --{', --'.join(new)}: the first goes on from a model, and the other is of a "
            "new one; leave one out"
        )
    kind = flags["kind"]
    if not flags["model"]:
        new.setdefault("architecture", "bert" if kind == "masked-lm" else "gpt2")
    corpus = {"paths": flags["texts"], "held_out": 0.01}
    table = {
        "corpus": corpus,
        "model": flags["model"] or new,
        "train": codec.encode(usual_training()),
    }
    return table | {name: flags[name] for name in ("kind", "tokenizer") if flags[name]}


def _evaluated(found: dict[str, Any]) -> str:
    """The last evaluation in words."""
    said = [f"loss {found['loss']:.4f}", f"perplexity {found['perplexity']:.4g} per token"]
    if found.get("word_perplexity") is not None:
        said += [f"{found['word_perplexity']:.4g} per word"]
        said += [f"{found['bits_per_byte']:.3f} bits per byte"]
    else:
        said += [f"accuracy {found['accuracy']:.1%}"]
    return f"held out: {', '.join(said)}"
