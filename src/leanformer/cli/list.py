"""`leanformer list`: every technique there is."""

from typing import Annotated

import typer


def list_(
    family: Annotated[str | None, typer.Argument(help="Only this family.")] = None,
) -> None:
    """List the techniques that recipes can name."""
    import leanformer.recipe  # registers every technique of recipes
    import leanformer.retrieve.indexes
    import leanformer.retrieve.searching  # noqa: F401  (and these)
    from leanformer.core.technique import families, nearest

    known = families()
    if family is not None and family not in known:
        raise ValueError(
            f"{family!r} is no family{nearest(family, list(known))}: {', '.join(known)}"
        )
    for name, members in known.items():
        if family in (None, name):
            typer.echo(name)
            for technique, cls in members.items():
                first = (cls.__doc__ or "").strip().splitlines()[0]
                typer.echo(f"  {technique:16} {first}")
