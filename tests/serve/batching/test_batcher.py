"""The queue with a function in the place of a model."""

import asyncio
import random
import threading

import pytest

from leanformer.serve.batching.batcher import Batcher, QueueFull
from leanformer.serve.metrics import Metrics


class Computer:
    """Answers a text with itself and its group; can be held up, and fails on "bad"."""

    def __init__(self):
        self.batches, self.go = [], threading.Event()
        self.entered = threading.Semaphore(0)
        self.go.set()

    def __call__(self, group, given):
        self.batches.append((group, list(given)))
        self.entered.release()
        assert self.go.wait(60)
        if "bad" in given:
            raise RuntimeError("bad text")
        return [(group, text) for text in given]


@pytest.fixture
def computer():
    return Computer()


@pytest.fixture
def batcher(computer):
    made = []

    def make(**settings):
        chosen = {"batch_tokens": 100, "queue_tokens": 1000, "queue_seconds": 1e9, **settings}
        made.append(Batcher(computer, Metrics("w"), **chosen))
        return made[-1]

    yield make
    computer.go.set()
    for one in made:
        one.close()
        for thread in one._threads:
            thread.join(60)
            assert not thread.is_alive()


async def entered(computer):
    """Wait until a batch is being computed."""
    assert await asyncio.to_thread(computer.entered.acquire, timeout=60)


def test_a_lone_request_is_computed_at_once(batcher, computer):
    async def ask():
        job = batcher().submit(["a"], [3], "g")
        await job.done
        return job.answers

    assert asyncio.run(ask()) == [("g", "a")]
    assert computer.batches == [("g", ["a"])]


def test_what_came_while_computing_is_computed_together(batcher, computer):
    async def ask():
        computer.go.clear()
        queue = batcher()
        first = queue.submit(["first"], [3])
        await entered(computer)
        rest = [queue.submit([f"{n}", f"{n}!"], [5, 5]) for n in range(8)]
        computer.go.set()
        await asyncio.gather(first.done, *(job.done for job in rest))
        return [job.answers for job in rest]

    answers = asyncio.run(ask())
    assert answers == [[(None, f"{n}"), (None, f"{n}!")] for n in range(8)]
    assert [len(given) for _, given in computer.batches] == [1, 16]


def test_only_texts_of_one_group_share_a_batch(batcher, computer):
    async def ask():
        computer.go.clear()
        queue = batcher()
        jobs = [queue.submit([f"{n}"], [1], n % 2) for n in range(9)]
        computer.go.set()
        await asyncio.gather(*(job.done for job in jobs))
        return [job.answers for job in jobs]

    assert asyncio.run(ask()) == [[(n % 2, f"{n}")] for n in range(9)]
    assert all(len({int(text) % 2 for text in given}) == 1 for _, given in computer.batches)


def test_a_batch_keeps_to_its_tokens(batcher, computer):
    async def ask():
        computer.go.clear()
        queue = batcher()
        queue.submit(["first"], [1])
        await entered(computer)
        job = queue.submit([str(n) for n in range(20)], [30] * 20)
        computer.go.set()
        await job.done

    asyncio.run(ask())
    assert [len(given) for _, given in computer.batches[1:]] == [3] * 6 + [2]


def test_a_failing_text_does_not_fail_its_mates(batcher, computer):
    async def ask():
        computer.go.clear()
        queue = batcher()
        queue.submit(["first"], [1])
        await entered(computer)
        jobs = [queue.submit([text], [1]) for text in ("a", "bad", "b")]
        computer.go.set()
        await asyncio.gather(*(job.done for job in jobs))
        return [job.answers[0] for job in jobs]

    good, bad, other = asyncio.run(ask())
    assert (good, other) == ((None, "a"), (None, "b"))
    assert isinstance(bad, RuntimeError)


def test_a_cancelled_request_is_not_computed(batcher, computer):
    async def ask():
        computer.go.clear()
        queue = batcher()
        first = queue.submit(["first"], [1])
        await entered(computer)
        gone, kept = queue.submit(["gone"], [400]), queue.submit(["kept"], [500])
        assert not gone.began
        queue.cancel(gone)
        queue.cancel(gone)
        queue.submit(["more"], [400])  # the room of the cancelled one is free again
        computer.go.set()
        await asyncio.gather(first.done, kept.done)
        queue.cancel(kept)

    asyncio.run(ask())
    assert "gone" not in [text for _, given in computer.batches for text in given]


def test_a_full_queue_refuses_and_says_when_to_return(batcher, computer):
    async def ask():
        computer.go.clear()
        queue = batcher()
        queue.submit(["first"], [5000])  # larger than the queue, which is empty
        await entered(computer)
        queue.submit(["a"], [600])
        assert not queue.full
        with pytest.raises(QueueFull, match="full for about") as refused:
            queue.submit(["b"], [401])
        assert refused.value.seconds >= 1
        queue.submit(["c"], [400])
        assert queue.full
        assert queue.computing_for > 0

    asyncio.run(ask())


def test_what_may_wait_is_seconds_of_work_at_the_speed_of_late(batcher, computer):
    async def ask():
        queue = batcher(queue_seconds=2.0)
        assert queue._most == 1000  # nothing was computed: the bound in tokens alone
        queue._speed.tokens_per_second = 50.0
        assert queue._most == 100
        computer.go.clear()
        queue.submit(["first"], [500])  # an empty queue takes it
        await entered(computer)
        queue.submit(["a"], [60])
        with pytest.raises(QueueFull):
            queue.submit(["b"], [41])
        queue.submit(["c"], [40])
        assert queue.full
        assert queue.refusal().seconds == 2.0
        queue._speed.tokens_per_second = 1e9
        assert queue._most == 1000
        assert not queue.full

    asyncio.run(ask())


def test_the_speed_is_learnt_from_batches_under_load(batcher, computer):
    async def ask():
        queue = batcher()
        await queue.submit(["lone"], [10]).done
        lone = queue._speed.tokens_per_second
        await queue.submit(["a", "b", "c"], [60, 60, 60]).done
        return lone, queue._speed.tokens_per_second

    lone, loaded = asyncio.run(ask())
    assert lone == 0 < loaded


def test_an_answer_after_the_end_of_its_loop_harms_nobody(batcher, computer):
    queue = batcher()

    async def leave():
        computer.go.clear()
        queue.submit(["left"], [1])
        await entered(computer)

    async def ask():
        computer.go.set()
        job = queue.submit(["a"], [1])
        await job.done
        return job.answers

    asyncio.run(leave())
    assert asyncio.run(ask()) == [(None, "a")]


def test_answers_are_never_mixed_up(batcher):
    """64 clients with several threads that compute; some give up."""
    random.seed(0)

    async def client(queue, number):
        for turn in range(20):
            texts = [f"{number}.{turn}.{place}" for place in range(random.randint(1, 5))]
            job = queue.submit(texts, [random.randint(1, 90) for _ in texts], turn % 3)
            if random.random() < 0.2:
                await asyncio.sleep(0)
                queue.cancel(job)
                continue
            await job.done
            assert job.answers == [(turn % 3, text) for text in texts]

    async def ask():
        queue = batcher(concurrency=3, queue_tokens=10**6)
        await asyncio.gather(*(client(queue, number) for number in range(64)))
        return queue

    queue = asyncio.run(ask())
    assert queue._tokens == sum(item.tokens for item in queue._items.values())


def test_a_panic_is_the_answer_to_its_text_and_ends_no_thread(batcher, computer):
    class Panic(BaseException):
        """As a tokenizer written in Rust raises it."""

    def answer(group, given):
        if "bad" in given:
            raise Panic("index out of bounds")
        return computer(group, given)

    async def ask():
        computer.go.clear()
        queue = batcher()
        queue._answer = answer
        first = queue.submit(["first"], [1])
        await entered(computer)
        jobs = [queue.submit([text], [1]) for text in ("bad", "good", "bad")]
        computer.go.set()
        await asyncio.wait_for(asyncio.gather(*(job.done for job in [first, *jobs])), 60)
        return [job.answers[0] for job in jobs]

    bad, good, _ = asyncio.run(ask())
    assert isinstance(bad, RuntimeError)
    assert "index out of bounds" in str(bad)
    assert good == (None, "good")


def test_nothing_waits_for_a_queue_that_has_ended(batcher):
    async def ask():
        queue = batcher()
        queue.close()
        with pytest.raises(RuntimeError, match="was shut down; make another by create_app"):
            queue.submit(["late"], [1])

    asyncio.run(ask())
