"""What a server may be asked, and how long it may take: every limit in one place."""

from dataclasses import dataclass
from typing import NamedTuple

from leanformer.core.ranges import Count, NotNegative, Positive, Threads, ranged
from leanformer.runtime.session import calls_at_a_time

_TOKENS = 512  # per thread


class Shares(NamedTuple):
    """How the cores compute: threads per batch, batches at a time, and tokens per batch."""

    threads: int
    concurrency: int
    batch_tokens: int


@dataclass(frozen=True, kw_only=True)
@ranged
class Settings:
    """Limits of a server and how it computes.

    Tokens are those that the model reads, special ones included; of a system without a tokenizer
    they are words.
    """

    name: str = ""
    """Model name in answers and requests; "" = the folder's name."""
    backend: str | None = None
    """Backend that computes; None = the winner of the race at export."""
    threads: Threads | None = None
    """Threads per computed batch; None = the cores, shared out among the batches."""
    concurrency: Count | None = None
    """Batches that are computed at a time; None = as many as there are cores for, at most four.
    1 answers a lone request soonest, since it has all cores to itself."""
    batch_tokens: Count | None = None
    """Tokens per batch, padding included; a longer text has a batch of its own. None = 512 per
    thread: larger ones are hardly faster, and a text waits longer for its mates."""
    queue_tokens: Count = 65_536
    """Tokens that may wait, however fast they are computed."""
    queue_seconds: Positive = 2.0
    """Seconds of work that may wait, at the speed of late; a request beyond them is answered with
    429."""
    seconds: Positive = 30.0
    """Time limit per request, from its first byte to its answer."""
    max_body_bytes: Count = 8 * 2**20
    """Bytes per request body."""
    max_texts: Count = 256
    """Texts per request: documents of a rerank, queries of a search."""
    max_characters: Count = 100_000
    """Characters per text."""
    max_hits: Count = 1000
    """Hits per query of a search."""
    dimensions: tuple[Count, ...] = ()
    """Widths of embeddings that a request may ask for beside the whole vector, for models that were
    trained so that prefixes are vectors too (Matryoshka); those in the folder's config.json count
    too."""
    refresh_seconds: NotNegative = 5.0
    """Seconds between looks for a new version of a search index; 0 = never."""
    reranker: str | None = None
    """Folder of a cross-encoder that a search index may rerank by."""

    def shares(self, cores: int) -> Shares:
        """How so many cores are shared out: what is None here is chosen."""
        concurrency = self.concurrency or calls_at_a_time(cores, self.threads or 1)
        threads = self.threads or max(1, cores // concurrency)
        return Shares(threads, concurrency, self.batch_tokens or _TOKENS * threads)
