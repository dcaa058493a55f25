"""What a layer takes in int8 on this machine, at each width of the ladder: it orders the students.

Measured once and kept in the record, so that a search that is resumed has the same order. A batch
of sixteen texts as long as the mean of dev is timed, or one text where latency is asked for.
"""

from typing import Any

from leanformer.measure.workload import ROWS
from leanformer.models.anatomy.shape import Shape, shape_of
from leanformer.recipe import open_model
from leanformer.runtime.openvino.layer_probe import Widths, time_layers
from leanformer.search.contest import Contest
from leanformer.search.opening import new_head
from leanformer.search.students.ladder import WIDTHS, Times

_LATENCY = (1, 32)  # texts and tokens of the latency that a goal is judged by
_TEXTS = 256  # of dev, whose mean length is taken


def layer_times(contest: Contest) -> Times | None:
    """Seconds per layer, by its shares of heads and FFN neurons; None where students are not
    exported, but served by PyTorch.

    Args:
        contest: The contest; its record is asked first.
    """
    known = contest.known("layers")
    if not known:
        if not contest.graphs:
            return None
        texts, tokens = _batch(contest)
        measured = _measure(contest, texts, tokens)
        contest.record.write("layers", texts=texts, tokens=tokens, rows=measured)
        known = contest.known("layers")
    return {(row["heads"], row["ffn"]): row["seconds"] for row in known[-1]["rows"]}


def _batch(contest: Contest) -> tuple[int, int]:
    """Texts and tokens of the batch that layers are timed with."""
    if contest.request.goal == "latency":
        return _LATENCY
    dev = contest.dataset.dev
    some = dev.take(list(range(min(_TEXTS, len(dev)))))
    encoded = contest.encode(some, contest.tokenizer)
    return ROWS, max(1, round(sum(map(encoded.length, range(len(some)))) / len(some)))


def _measure(contest: Contest, texts: int, tokens: int) -> list[dict[str, Any]]:
    shape = _encoder(contest)
    widths = {shares: _widths(shape, *shares) for shares in WIDTHS}
    threads = contest.request.threads or None
    taken = time_layers(widths.values(), rows=texts, tokens=tokens, threads=threads)
    return [
        {"heads": heads, "ffn": ffn, "seconds": taken[widths[heads, ffn]]} for heads, ffn in WIDTHS
    ]


def _encoder(contest: Contest) -> Shape:
    """The shape of what students are cut from."""
    request = contest.request
    if request.student is None:
        return shape_of(contest.teacher)
    fresh = new_head(request, contest.dataset)
    model, _ = open_model(request.student, contest.dataset, request.seed, fresh_head=fresh)
    return shape_of(model)


def _widths(shape: Shape, heads: float, ffn: float) -> Widths:
    """A layer of the encoder with these shares of its heads and neurons."""
    return Widths(
        hidden=shape.hidden,
        heads=max(1, round(heads * sum(shape.heads) / shape.layers)),
        head_dim=shape.head_dim,
        ffn=max(1, round(ffn * sum(shape.ffn) / shape.layers)),
    )
