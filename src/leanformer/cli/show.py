"""`leanformer show NAME`: what a technique is, its fields and its paper."""

import dataclasses
from typing import Annotated, Any

import typer


def show(name: Annotated[str, typer.Argument(help="As `leanformer list` names it.")]) -> None:
    """Explain a technique."""
    import leanformer.recipe  # registers every technique of recipes
    import leanformer.retrieve.indexes
    import leanformer.retrieve.searching  # noqa: F401  (and these)
    from leanformer.core.technique import families, find

    found: list[Any] = [members[name] for members in families().values() if name in members]
    for cls in found or [find(name)]:  # which refuses the name and says the nearest
        _explain(name, cls)


def _explain(name: str, cls: Any) -> None:
    """One technique; several families may have one of a name."""
    import inspect

    from leanformer.core.codec import encode
    from leanformer.core.ranges import described, number_fields
    from leanformer.core.technique import field_docs

    typer.echo(f"{name}  ({cls.family})\n\n{inspect.cleandoc(cls.__doc__ or '')}")
    module = inspect.getmodule(cls)
    typer.echo(f"\n{inspect.cleandoc(module.__doc__ or '') if module else ''}")
    typer.echo(f"\npaper   {cls.paper or 'none'}\n\nfields")
    docs, ranges = field_docs(cls), number_fields(cls)
    for field in dataclasses.fields(cls):
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        shown = "needed" if default is dataclasses.MISSING else encode(default)
        rule = described(ranges[field.name]) if field.name in ranges else ""
        typer.echo(f"  {field.name} = {shown}{f'  ({rule})' if rule else ''}")
        typer.echo(f"      {docs.get(field.name, '')}")
