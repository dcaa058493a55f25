"""A request waits for its answers, until its time is up or its client has gone.

not begun in time   503    the server has too much to do
not ended in time   504    what was asked takes too long
client gone         499    nobody reads it; what had not begun is not computed
"""

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any

from starlette.requests import Request

from leanformer.serve.batching.batcher import Batcher, Job, QueueFull
from leanformer.serve.errors import Refused


async def computed(
    request: Request,
    batcher: Batcher,
    given: Sequence[Any],
    tokens: Sequence[int],
    ends: float,
    group: Hashable = None,
) -> list[Any]:
    """The answers to the texts of a request, in order.

    Args:
        request: The request, whose body has been read.
        batcher: What computes.
        given: Its texts.
        tokens: Tokens of each.
        ends: When its time is up, by the event loop's clock.
        group: See `Batcher.submit`.

    Raises:
        Refused: The queue is full, the time is up, the client has gone, or a text was refused.
        Exception: Computing failed.
    """
    try:
        job = batcher.submit(given, tokens, group)
    except QueueFull as full:
        raise too_many(full) from None
    left = ends - asyncio.get_running_loop().time()
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({job.done, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        batcher.cancel(job)
    if not job.done.done():
        raise _unanswered(job, gone_client=gone.done() and not gone.cancelled())
    for answer in job.answers:
        if isinstance(answer, Exception):
            raise answer
    return job.answers


async def _gone(request: Request) -> None:
    """End when the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _unanswered(job: Job, *, gone_client: bool) -> Refused:
    if gone_client:
        return Refused(499, "the client closed the connection")
    if job.began:
        return Refused(504, "the time limit passed while this was computed; send less at a time")
    return Refused(
        503,
        "the time limit passed before this was begun; try again later",
        code="overloaded",
        headers={"Retry-After": "1"},
    )


def too_many(full: QueueFull) -> Refused:
    """What a request is told that finds no room."""
    seconds = max(1, round(full.seconds))
    return Refused(
        429,
        f"the queue is full; try again in {seconds} s",
        code="queue_full",
        headers={"Retry-After": str(seconds)},
    )
