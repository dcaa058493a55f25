"""`leanformer attend MODEL --with ... --out DIR`: a model whose layers attend by a mechanism."""

from pathlib import Path
from typing import Annotated

import typer


def attend(
    model: Annotated[str, typer.Argument(help="Model folder, or a name on the hub.")],
    with_: Annotated[
        str,
        typer.Option(
            "--with", help='A name (longformer, lsh ...) or TOML: { use = "lsh", num_hashes = 2 }.'
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    head: Annotated[
        str, typer.Option(help="classification, tokens, embedding, masked or causal.")
    ] = "classification",
    layers: Annotated[list[int] | None, typer.Option(help="Layers; all that can.")] = None,
    length: Annotated[int, typer.Option(help="Tokens at which it is timed.")] = 512,
) -> None:
    """Replace the attention of a model, time it against dense attention, and save it.

    Nothing is trained. Where it was measured, the quality that a trained model loses is shown.
    """
    import tomllib

    import leanformer.attention  # noqa: F401  (registers every mechanism)
    from leanformer.attention.bench.exchanged import cost_of
    from leanformer.attention.bench.timed import time_model
    from leanformer.attention.hf.attach import attach
    from leanformer.attention.mechanism import Mechanism
    from leanformer.attention.presets import mechanisms
    from leanformer.core.codec import decode
    from leanformer.core.ranges import Length, check_number
    from leanformer.core.storage.files import check_free
    from leanformer.models.io.load import load_model
    from leanformer.models.io.save import save_model

    check_number(Length, length, "--length")
    known = mechanisms()
    if with_ in known:
        mechanism = known[with_]
    else:
        said = tomllib.loads(f"value = {with_}")["value"] if with_[:1] in "{[" else with_
        mechanism = decode(Mechanism, said, "--with")
    check_free(out)
    loaded, tokenizer = load_model(model, head)  # type: ignore[arg-type]
    before = time_model(loaded, length)
    done = attach(loaded, mechanism, layers=layers)
    after = time_model(loaded, length)
    save_model(loaded, tokenizer, out)
    typer.echo(f"layers that attend by it: {len(done.layers)} of {len(done.layers + done.dense)}")
    swap = mechanism.capabilities.swap
    name = next((name for name, one in known.items() if one == mechanism), with_)
    typer.echo(f"quality: {cost_of(name, swap)}")
    if done.parameters:
        typer.echo(f"new parameters: {done.parameters}; train the model before it is used")
    elif swap in ("loses", "ruins"):
        typer.echo("train the model with it before it is used")
    elif swap == "unmeasured":
        typer.echo("judge the model on texts of yours before it is used")
    typer.echo(f"{length} tokens: {1e3 * before:.1f} ms dense, {1e3 * after:.1f} ms now")
    typer.echo(f"wrote {out}; load it with AutoModel….from_pretrained after `import leanformer`")
