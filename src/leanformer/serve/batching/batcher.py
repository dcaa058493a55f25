"""One queue for the texts of all requests, and threads that compute them in batches.

    request ──submit──▶ queue of texts ──choose_batch──▶ one thread computes ──▶ request

Nothing waits for company: a thread that is free takes what is there, so a lone request is computed
at once, and batches grow with the load while earlier ones are computed. Each text carries its
request and its place in it, so answers cannot be mixed up. A request whose client has gone, or
whose time is up, leaves the queue; a text that is being computed is finished and dropped.

The queue is bounded in seconds of work, because its length is what those who are answered wait.
Work is counted in tokens, at the speed of late; a request beyond the bound is refused at once with
the time in which there will be room. An empty queue takes any request.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from leanformer.serve.batching.speed import Speed
from leanformer.serve.batching.token_batches import WINDOW, choose_batch
from leanformer.serve.metrics import Metrics

Answer = Callable[[Hashable, list[Any]], list[Any]]
"""What computes: the group of a batch and its texts → one answer per text."""

_log = logging.getLogger(__name__)


class QueueFull(Exception):
    """There is no room for a request.

    Attributes:
        seconds: When there will be, at the speed of late.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the queue is full for about {seconds:.0f} s")
        self.seconds = seconds


@dataclass(eq=False)
class Job:
    """The texts of one request.

    Attributes:
        answers: One per text, once computed; an exception stands for a text that failed.
        done: Set in the request's event loop when all texts have their answers.
        began: Whether computing has begun for one of them.
    """

    answers: list[Any]
    done: "asyncio.Future[None]"
    began: bool = False
    left: int = 0
    waiting: set[int] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class _Item:
    job: Job
    place: int
    given: Any
    tokens: int
    group: Hashable
    since: float


class Batcher:
    """Computes the texts of many requests together.

    Attributes:
        queue_tokens: Tokens that may wait, however fast they are computed.
        queue_seconds: Seconds of work that may wait.
    """

    def __init__(
        self,
        answer: Answer,
        metrics: Metrics,
        *,
        batch_tokens: int,
        queue_tokens: int,
        queue_seconds: float,
        concurrency: int = 1,
    ) -> None:
        """Start `concurrency` threads that compute.

        Args:
            answer: Computes a batch, from any thread.
            metrics: Where batches are counted.
            batch_tokens: Tokens per batch, padding included.
            queue_tokens: Tokens that may wait, however fast they are computed.
            queue_seconds: Seconds of work that may wait, at the speed of late.
            concurrency: Batches that are computed at a time.
        """
        self._answer, self._metrics = answer, metrics
        self._batch_tokens, self.queue_tokens = batch_tokens, queue_tokens
        self.queue_seconds, self._speed = queue_seconds, Speed()
        self._items: OrderedDict[int, _Item] = OrderedDict()
        self._numbers, self._tokens, self._closed = count(), 0, False
        self._computing: dict[int, float] = {}  # thread → when its batch began
        self._some = threading.Condition()
        metrics.gauge("leanformer_queue_texts", "Texts that wait.", lambda: len(self._items))
        metrics.gauge("leanformer_queue_tokens", "Tokens that wait.", lambda: self._tokens)
        metrics.gauge("leanformer_queue_room_tokens", "Tokens that may wait.", lambda: self._most)
        self._threads = [
            threading.Thread(target=self._work, name=f"compute-{index}", daemon=True)
            for index in range(concurrency)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def full(self) -> bool:
        """Whether a request would be refused whatever its size."""
        return self._tokens > 0 and self._tokens >= self._most

    @property
    def _most(self) -> int:
        """Tokens that may wait."""
        return self._speed.tokens_in(self.queue_seconds, otherwise=self.queue_tokens)

    @property
    def computing_for(self) -> float:
        """Seconds for which the oldest of the batches in work has been computed; 0 = none is."""
        began = list(self._computing.values())
        return time.monotonic() - min(began) if began else 0.0

    def refusal(self) -> QueueFull:
        """What a request is refused with while the queue is full."""
        return QueueFull(max(1.0, self._speed.seconds_for(self._tokens)))

    def submit(self, given: Sequence[Any], tokens: Sequence[int], group: Hashable = None) -> Job:
        """Queue the texts of a request, from its event loop.

        Args:
            given: Its texts, in the form that `answer` takes; at least one.
            tokens: Tokens of each.
            group: Only texts of equal groups are computed together.

        Raises:
            QueueFull: Others wait, and there is no room for this one beside them.
            RuntimeError: The application was shut down.
        """
        job = Job([None] * len(given), asyncio.get_running_loop().create_future(), left=len(given))
        now = time.monotonic()
        with self._some:
            if self._closed:
                raise RuntimeError("this application was shut down; make another by create_app")
            if self._tokens and self._tokens + sum(tokens) > self._most:
                raise self.refusal()
            for place, (one, size) in enumerate(zip(given, tokens, strict=True)):
                number = next(self._numbers)
                job.waiting.add(number)
                self._items[number] = _Item(job, place, one, max(1, size), group, now)
                self._tokens += max(1, size)
            self._some.notify(len(given))
        return job

    def cancel(self, job: Job) -> None:
        """Take what has not begun out of the queue; nothing happens where all of it has."""
        with self._some:
            for number in job.waiting:
                self._tokens -= self._items.pop(number).tokens
            job.waiting.clear()

    def close(self) -> None:
        """Stop the threads once the queue is empty; nothing may be submitted any more."""
        with self._some:
            self._closed = True
            self._some.notify_all()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            (batch, loaded), began = taken, time.monotonic()
            tokens = sum(item.tokens for item in batch)
            try:
                answers = self._compute(batch)
            finally:
                with self._some:
                    seconds, threads = time.monotonic() - began, len(self._computing)
                    del self._computing[threading.get_ident()]
                    self._speed.note(tokens, seconds, threads=threads, loaded=loaded)
            self._note(batch, tokens, seconds)
            self._deliver(batch, answers)

    def _take(self) -> tuple[list[_Item], bool] | None:
        """The next batch, waited for, and whether others wait on; None when there will be none."""
        with self._some:
            while not self._items:
                if self._closed:
                    return None
                self._some.wait()
            numbers = self._candidates()
            chosen = choose_batch([self._items[n].tokens for n in numbers], self._batch_tokens)
            batch = []
            for index in chosen:
                item = self._items.pop(numbers[index])
                item.job.waiting.discard(numbers[index])
                item.job.began = True
                self._tokens -= item.tokens
                batch.append(item)
            self._computing[threading.get_ident()] = time.monotonic()
            return batch, bool(self._items)

    def _candidates(self) -> list[int]:
        """Numbers of the oldest texts that may be computed with the oldest one."""
        found: list[int] = []
        group, tokens = next(iter(self._items.values())).group, 0
        for number, item in self._items.items():
            if item.group == group:
                found.append(number)
                tokens += item.tokens
                if tokens >= WINDOW * self._batch_tokens:
                    break
        return found

    def _compute(self, batch: list[_Item]) -> list[Any]:
        """The answers of a batch; if it fails, of each text alone, so that mates do not suffer."""
        try:
            answers = self._answer(batch[0].group, [item.given for item in batch])
            assert len(answers) == len(batch), f"{len(answers)} answers to {len(batch)} texts"
            return answers
        except (
            BaseException
        ) as error:  # a panic in Rust is no Exception, and must not end the thread
            if len(batch) == 1:
                return [error if isinstance(error, Exception) else RuntimeError(repr(error))]
            _log.warning("a batch of %d failed; its texts are computed one by one", len(batch))
        return [self._compute([item])[0] for item in batch]

    def _note(self, batch: list[_Item], tokens: int, seconds: float) -> None:
        now = time.monotonic()
        self._metrics.count("leanformer_texts_total", len(batch))
        self._metrics.count("leanformer_tokens_total", tokens)
        self._metrics.observe("leanformer_batch_texts", len(batch))
        self._metrics.observe("leanformer_batch_tokens", tokens)
        self._metrics.observe("leanformer_batch_seconds", seconds)
        for item in batch:
            self._metrics.observe("leanformer_wait_seconds", now - seconds - item.since)

    def _deliver(self, batch: list[_Item], answers: list[Any]) -> None:
        """Hand each answer to its request, and wake those that have all of theirs."""
        ready: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        with self._some:  # two threads may answer one request
            for item, answer in zip(batch, answers, strict=True):
                item.job.answers[item.place] = answer
                item.job.left -= 1
                if not item.job.left:
                    ready.setdefault(item.job.done.get_loop(), []).append(item.job)
        for loop, jobs in ready.items():
            try:
                loop.call_soon_threadsafe(_wake, jobs)
            except RuntimeError:  # the loop is closed: nobody waits any more
                _log.debug("%d answers came after the end", len(jobs))


def _wake(jobs: list[Job]) -> None:
    for job in jobs:
        if not job.done.done():
            job.done.set_result(None)
