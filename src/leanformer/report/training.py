"""The page of a pre-training: its curves, what it cost, its settings, and what it writes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leanformer.core.identity.differences import flat
from leanformer.core.record import read
from leanformer.core.storage.files import write_text
from leanformer.measure.environment import machine_of
from leanformer.report.drawing.axes import Spec
from leanformer.report.drawing.memory import memory_account
from leanformer.report.drawing.over_tokens import curve, over_tokens
from leanformer.report.page import render

_MIB, _GIB = 2**20, 2**30


def write_training_page(record: Path, out: Path | None = None) -> Path:
    """Draw the events of a pre-training as one self-contained HTML page.

    Args:
        record: `events.jsonl`.
        out: The file to write; `report.html` beside the record when absent.

    Raises:
        FileNotFoundError: There is no such record.
        ValueError: It is damaged, or of no pre-training.
    """
    events = read(record)
    about = next((event for event in events if event["event"] == "pretraining"), None)
    if about is None:
        raise ValueError(f"{record}: it holds no pre-training; `leanformer train` writes one")
    path = out if out is not None else record.with_name("report.html")
    write_text(path, _page(about, events))
    return path


def _page(about: dict[str, Any], events: Sequence[dict[str, Any]]) -> str:
    steps = latest(events, "step")
    evaluations = latest(events, "evaluation")
    ended = next((event for event in events if event["event"] == "finished"), None)
    specs = charts(steps, evaluations)
    if account := about.get("account"):
        specs["account"] = memory_account(account, _most_memory(steps))
    told = [event["samples"] for event in events if event["event"] in ("samples", "finished")]
    return render(
        "training.html.jinja",
        specs=specs,
        about=about,
        machine=machine_of(about.get("environment")),
        sentence=sentence(about, steps, evaluations, ended),
        tiles=tiles(steps, evaluations),
        charts=[(key, _CAPTIONS[key]) for key in specs if key != "account"],
        account=_CAPTIONS["account"] if "account" in specs else "",
        without=about.get("without", ""),
        evaluations=evaluation_table(evaluations),
        settings=settings_table(about.get("settings") or {}),
        samples=told[-1] if told else [],
    )


_CAPTIONS = {
    "loss": "Training loss and held-out loss over the tokens that were read, in nats per target.",
    "speed": "Tokens per second, evaluations left out, over the tokens that were read.",
    "memory": "Memory over the tokens that were read: the peak of the GPU, or what the process "
    "holds.",
    "account": "What takes the memory of one rank in a training step: predicted before the first "
    "one, without what kernels need for a moment, and the most that was there. Without a GPU that "
    "is the whole process, with its libraries and data.",
}


def latest(events: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The last event of this name at each step, in order of the steps."""
    found = {event["step"]: event for event in events if event["event"] == name}
    return [found[step] for step in sorted(found)]


def charts(
    steps: Sequence[dict[str, Any]], evaluations: Sequence[dict[str, Any]]
) -> dict[str, Spec]:
    """The charts for which there is something to draw."""
    found: dict[str, Spec] = {}
    losses = [curve("training", steps, "loss"), curve("held out", evaluations, "loss", marks=True)]
    for key, title, lines in (
        ("loss", "loss", losses),
        ("speed", "tokens per second", [curve("tokens/s", steps, "tokens_per_second")]),
        ("memory", "MiB", [curve("memory", steps, "memory", unit=_MIB)]),
    ):
        drawn = [line for line in lines if line["x"]]
        if drawn:
            found[key] = over_tokens(drawn, title, zero=key != "loss")
    return found


def sentence(
    about: dict[str, Any],
    steps: Sequence[dict[str, Any]],
    evaluations: Sequence[dict[str, Any]],
    ended: dict[str, Any] | None,
) -> str:
    """What came of the run, in one sentence."""
    what = f"{about['architecture']} of {_millions(about['parameters'])} parameters"
    if not steps:
        return f"{what}: no step is done yet."
    last = steps[-1]
    read_ = f"{last['tokens']:,} tokens in {last['step']:,} of {last['steps']:,} steps"
    state = "has read" if ended else "has so far read"
    if not evaluations:
        return f"{what} {state} {read_}."
    found = evaluations[-1]
    return f"{what} {state} {read_}; held-out perplexity {found['perplexity']:.4g} per token."


def tiles(
    steps: Sequence[dict[str, Any]], evaluations: Sequence[dict[str, Any]]
) -> list[tuple[str, str]]:
    """Figures and what they are."""
    found: list[tuple[str, str]] = []
    if evaluations:
        last = evaluations[-1]
        found.append((f"{last['loss']:.3f}", "held-out loss, nats per token"))
        if last.get("word_perplexity") is not None:
            found.append((_short(last["word_perplexity"]), "held-out perplexity per word"))
            found.append((f"{last['bits_per_byte']:.3f}", "bits per byte"))
        else:
            found.append((f"{last['accuracy']:.1%}", "hidden tokens found"))
    if steps:
        speeds = sorted(step["tokens_per_second"] for step in steps)
        found.append((f"{speeds[len(speeds) // 2]:,.0f}", "tokens per second, median"))
        used = sorted(step["mfu"] for step in steps if step.get("mfu") is not None)
        found += [(f"{used[len(used) // 2]:.0%}", "MFU, median")] if used else []
        most = _most_memory(steps)
        found += [(f"{most / _GIB:.2f} GiB", "memory at most")] if most is not None else []
    return found


def _most_memory(steps: Sequence[dict[str, Any]]) -> int | None:
    """Bytes that were there at most; None where nobody looked."""
    return max((one["memory"] for one in steps if one.get("memory") is not None), default=None)


def evaluation_table(evaluations: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Every evaluation as a row."""
    names = {
        "loss": "loss",
        "perplexity": "perplexity per token",
        "word_perplexity": "per word",
        "bits_per_byte": "bits per byte",
        "accuracy": "accuracy",
    }
    there = [name for name in names if any(e.get(name) is not None for e in evaluations)]
    if not there:
        return None
    rows = [
        [f"{one['step']:,}", f"{one['tokens']:,}", *(_number(one.get(name)) for name in there)]
        for one in evaluations
    ]
    return {"head": ["step", "tokens read", *(names[name] for name in there)], "rows": rows}


def settings_table(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Every setting by its place in the recipe."""
    return [(place, str(value)) for place, value in flat(settings)]


def _millions(count: int) -> str:
    """Parameters in millions; few of them in thousands."""
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


def _short(value: float) -> str:
    """A perplexity that fits into a tile; an untrained model's may be of any size."""
    return f"{value:.4g}" if value < 1e4 else f"{value:.0e}".replace("e+0", "e").replace("e+", "e")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
