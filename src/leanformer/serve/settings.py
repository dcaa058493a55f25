"""What a server may be asked, and how long it may take: every limit in one place."""

from dataclasses import dataclass

from leanformer.core.ranges import Count, NotNegative, Positive, Threads, ranged
from leanformer.runtime.batching import MAX_TOKENS


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
    """Threads per computed batch; None = all cores."""
    concurrency: Count = 1
    """Batches that are computed at a time."""
    batch_tokens: Count = MAX_TOKENS
    """Tokens per batch, padding included; a longer text has a batch of its own."""
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
