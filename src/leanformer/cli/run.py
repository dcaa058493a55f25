"""`leanformer run recipe.toml`: a recipe, step by step, in the open."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from leanformer.cli.plan import tell_plan


def run(
    recipe: Annotated[Path, typer.Argument(help="TOML file.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the results; runs/NAME.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="steps[0].train.epochs=2; may be repeated.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Where to train: auto, cpu, cuda, cuda:1 or mps; as the recipe says."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say the plan and end: nothing is written.")
    ] = False,
) -> None:
    """Do what a recipe says; stopped, the same command resumes.

    Exit codes of a measured recipe: 0 the promise is kept, 3 not proven, 4 not kept; 2 wrong usage.
    """
    from leanformer.cli.progress import Watcher
    from leanformer.cli.verdict import tell_verdict
    from leanformer.core.ranks import follows
    from leanformer.recipe import begin, read
    from leanformer.search.conduct import conduct, prepare_recipe

    described = read(recipe, set_ or [])
    if device is not None:
        described = replace(described, device=device)
    folder = out or Path("runs") / recipe.stem
    if dry_run:
        dataset, _, plan = prepare_recipe(described)
        begin(described, folder.resolve(), dataset=dataset, write=False)
        tell_plan(plan)
        return
    command = shlex.join(["leanformer", *sys.argv[1:]])
    watch = None if follows() else Watcher()
    workspace, page = conduct(described, folder, command=command, watch=watch)
    if follows():
        return
    typer.echo(f"model   {workspace.saved}")
    typer.echo(f"record  {workspace.record.path}")
    if page is not None:
        typer.echo(f"report  {page}")
        tell_verdict(workspace.record.path)
