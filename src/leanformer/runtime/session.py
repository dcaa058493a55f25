"""A transformer that is ready to run: int64 arrays in, one float32 array out.

A session is a graph made ready to run with everything pinned that changes its speed or its numbers:
the executed precision and the threads. `pins` says what was pinned, so that a report can print it.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from leanformer.core.machine.threads import check_threads, cores
from leanformer.core.ranges import Count, Threads, check_number

Precision = str  # "fp32", "bf16" or "int8": each backend lists its own
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray | None]
ANSWER = ("logits", "sentence_embedding")  # outputs of graphs that answer; format 1 had "output"
_MOST_AT_A_TIME = 4  # by default; each keeps kernels for the shapes that it has seen


class Session(ABC):
    """A model that is ready to run on one backend, from any number of threads.

    It also works in a forked process and after unpickling, where it is opened again.

    Attributes:
        backend: Name of the backend (`leanformer.runtime.backends`).
        precision: What the matrix products run in.
        inputs: The names of the inputs that it takes, in the order of `run`.
        threads: Threads that compute one call.
        concurrency: Calls that are computed at a time. In OpenVINO further calls wait for their
            turn; the other backends begin every call at once.
        pins: What was pinned when it was opened.
    """

    backend: str
    precision: Precision
    inputs: tuple[str, ...]
    threads: int = 1
    concurrency: int = 1
    pins: dict[str, Any]

    def run(
        self,
        input_ids: np.ndarray,
        attention_mask: np.ndarray,
        token_type_ids: np.ndarray | None = None,
    ) -> np.ndarray:
        """Logits or embeddings, float32, of one padded batch of int64 [batch, token] arrays."""
        return self.answer((input_ids, attention_mask, token_type_ids))

    @abstractmethod
    def answer(self, arrays: Arrays) -> np.ndarray:
        """What `run` gives: of token ids, mask and token types, None where they were not given."""


def concurrency_of(threads: int | None, concurrency: int | None) -> tuple[int, int]:
    """Threads per call, and calls that are computed at a time.

    Args:
        threads: As asked; None = all cores.
        concurrency: As asked; None = as many as the cores have room for, at most four.

    Raises:
        ValueError: One of them is not positive, or absurd.
    """
    check_threads(threads)
    if concurrency is not None:
        check_number(Count, concurrency, "concurrency")
        check_number(Threads, concurrency, "concurrency")
    threads = threads or cores()
    return threads, concurrency or calls_at_a_time(cores(), threads)


def calls_at_a_time(cores: int, threads: int) -> int:
    """How many calls of so many threads the cores have room for: at least one, at most four."""
    return max(1, min(cores // threads, _MOST_AT_A_TIME))


def feed(session: Session, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Run a batch of arrays by name; those that the session does not take are left out."""
    return session.run(**{name: arrays[name] for name in session.inputs})
