"""`leanformer show NAME`: what a technique is, its fields and its paper."""

import dataclasses
from typing import Annotated, Any

import typer


def show(name: Annotated[str, typer.Argument(help="As `leanformer list` names it.")]) -> None:
    """Explain one technique."""
    import inspect

    import leanformer.recipe  # noqa: F401  (registers every technique)
    from leanformer.core.codec import encode
    from leanformer.core.technique import field_docs, find

    cls: Any = find(name)
    typer.echo(f"{name}  ({cls.family})\n\n{inspect.cleandoc(cls.__doc__ or '')}")
    module = inspect.getmodule(cls)
    typer.echo(f"\n{inspect.cleandoc(module.__doc__ or '') if module else ''}")
    typer.echo(f"\npaper   {cls.paper or 'none'}\n\nfields")
    docs = field_docs(cls)
    for field in dataclasses.fields(cls):
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        shown = "needed" if default is dataclasses.MISSING else encode(default)
        typer.echo(f"  {field.name} = {shown}\n      {docs.get(field.name, '')}")
