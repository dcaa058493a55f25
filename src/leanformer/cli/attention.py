"""`leanformer attention bench` and `advise`: what is faster here, and from which length on."""

from pathlib import Path
from typing import Annotated, Any

import typer

RECORD = Path("attention.jsonl")

attention = typer.Typer(help="Measure attention mechanisms here, and choose by it.")


@attention.command()
def bench(
    lengths: Annotated[list[int], typer.Option(help="Tokens; give it once a length.")] = [  # noqa: B006
        512,
        1024,
        2048,
        4096,
    ],
    out: Annotated[Path, typer.Option(help="Record that results are appended to.")] = RECORD,
    only: Annotated[list[str] | None, typer.Option(help="Mechanisms; all without it.")] = None,
    rounds: Annotated[int, typer.Option(help="Times that each runs at each length.")] = 7,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "cpu",
) -> None:
    """Time every mechanism against dense attention, forward and backward, and draw it.

    Each is timed on one text without padding and with a quarter of padding. What this machine has
    measured already is not measured again, so that an interrupted bench goes on. Memory is measured
    at the longest length.
    """
    from leanformer.attention.bench.measure import here
    from leanformer.attention.presets import mechanisms
    from leanformer.core.machine.device import find_device
    from leanformer.core.ranges import Count, Length, check_number
    from leanformer.core.record import Record

    check_number(Count, rounds, "--rounds")
    for length in lengths:
        check_number(Length, length, "--lengths")
    known = mechanisms()
    for name in only or []:
        if name not in known:
            raise ValueError(f"--only {name}: there are {', '.join(known)}")
    chosen = {name: known[name] for name in only or known}
    device = str(find_device(device))
    record, environment = Record(out), here(device)
    done = record.events()
    _draw(record, done, chosen)
    works = _works(lengths, device)
    for number, work in enumerate(works):
        left = _left(done, chosen, work, environment)
        if left:
            typer.echo(f"[{number + 1}/{len(works)}] {_described(work)}")
            memory = work.length == max(lengths)
            _time(record, left, work, environment, rounds=rounds, memory=memory)
    from leanformer.report.attention import write_page

    typer.echo(f"wrote {out} and {write_page(out)}")


def _draw(record: Any, done: list[Any], chosen: dict[str, Any]) -> None:
    """Record a picture of each mechanism that has none yet."""
    from leanformer.attention.bench.picture import picture

    drawn = {event["name"] for event in done if event["event"] == "picture"}
    for name, one in chosen.items():
        if name not in drawn:
            record.write("picture", name=name, picture=picture(one))


def _works(lengths: list[int], device: str) -> list[Any]:
    """What is timed: each length without and with padding, causal or not, training or not."""
    from leanformer.attention.bench.measure import PADDED
    from leanformer.attention.bench.workload import Workload

    return [
        Workload(length=length, causal=causal, backward=backward, padded=share, device=device)
        for length in sorted(set(lengths))
        for share in (0.0, PADDED)
        for causal in (False, True)
        for backward in (False, True)
    ]


def _left(
    done: list[Any], chosen: dict[str, Any], work: Any, environment: dict[str, Any]
) -> dict[str, Any]:
    """The mechanisms that this machine has not timed at this work."""
    from leanformer.core.codec import decode
    from leanformer.measure.environment import machine_of

    mine = machine_of(environment)
    names = {
        event["name"]
        for event in done
        if event["event"] == "attention"
        and machine_of(event.get("environment")) == mine
        and decode(type(work), event["work"]) == work
    }
    return {name: one for name, one in chosen.items() if name not in names}


def _described(work: Any) -> str:
    kind = f"{'causal ' if work.causal else ''}{'training' if work.backward else 'inference'}"
    padding = f", {work.padded:.0%} padding" if work.padded else ""
    return f"{work.length} tokens, {kind}{padding}"


def _time(
    record: Any,
    mechanisms: dict[str, Any],
    work: Any,
    environment: dict[str, Any],
    *,
    rounds: int,
    memory: bool,
) -> None:
    """Time mechanisms at one work, record each and say how it compares."""
    from leanformer.attention.bench.measure import measure
    from leanformer.core.codec import encode

    for found in measure(mechanisms, work, rounds=rounds, memory=memory):
        said = {**vars(found), "mechanism": encode(found.mechanism), "work": encode(work)}
        record.write("attention", **said, environment=environment)
        peak = "" if found.peak is None else f"  {found.peak / 2**20:8.1f} MiB"
        typer.echo(f"  {found.name:20} {found.ratio.value:7.3f}x of dense{peak}")


@attention.command()
def advise(
    length: Annotated[int, typer.Option(help="Tokens of the texts.")],
    causal: Annotated[bool, typer.Option(help="Whether layers see earlier tokens alone.")] = False,
    train: Annotated[
        bool, typer.Option(help="Whether you train the model with the mechanism.")
    ] = False,
    padded: Annotated[
        bool, typer.Option(help="Whether texts are padded to the longest of their batch.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "cpu",
    record: Annotated[Path, typer.Option(help="What `bench` wrote.")] = RECORD,
) -> None:
    """Say which mechanism is fastest for texts of a length, and what it costs a trained model.

    Only measurements of this machine and device count. Without --train a mechanism is recommended
    only if a trained model was measured to keep its quality with it. With --train one that must be
    trained may be recommended too. If no such mechanism is faster, keep dense attention.
    """
    import leanformer.attention  # noqa: F401  (registers every mechanism)
    from leanformer.attention.bench.advice import KEEP, Question, advise
    from leanformer.attention.bench.measure import here
    from leanformer.core.machine.device import find_device
    from leanformer.core.ranges import Length, check_number
    from leanformer.core.record import read

    check_number(Length, length, "--length")
    if not record.is_file():
        raise ValueError(f"{record} does not exist; run leanformer attention bench first")
    events = [event for event in read(record) if event["event"] == "attention"]
    device = str(find_device(device))
    question = Question(
        length=length,
        environment=here(device),
        causal=causal,
        backward=train,
        padded=padded,
        device=device,
    )
    answer = advise(events, question)
    for place, count in answer.left_out.items():
        typer.echo(f"left out: {count} measurements on {place}")
    for one in answer.mechanisms:
        notes = [] if one.crossover is None else [f"faster from {one.crossover} tokens on"]
        notes += [] if one.exact or not causal else ["not strictly causal"]
        typer.echo(f"{one.name:20} {one.ratio:6.2f}x of dense  {'; '.join([*notes, one.quality])}")
    if answer.best is not None:
        best = answer.best
        typer.echo(f"{best.name}: {1 / best.ratio:.1f} times as fast as dense attention here")
        typer.echo(f"  {best.quality}")
        return
    rest = "or can be trained to regain it" if train else "without training"
    typer.echo(
        f"keep dense attention: no mechanism below {KEEP}x of its time is known to keep a trained "
        f"model's quality {rest}"
    )
