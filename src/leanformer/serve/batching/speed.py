"""Tokens per second that a server computes, as seen in its last batches.

    while others wait        speed ← Σ wᵢ tokensᵢ / Σ wᵢ secondsᵢ        wᵢ = (1 - λ)^age, λ = 0.1
    while none waits         speed ← max(speed, seen), once there is one

A lone short text takes about as long as several, and the first of all pays for what is done once,
so that batches computed without company say less than what is possible: they raise a known speed
and never lower it, and from them alone no speed is known.
"""

_SHARE = 0.1  # λ: a former speed is forgotten within some twenty batches


class Speed:
    """Tokens per second of late.

    Attributes:
        tokens_per_second: Of all threads together; 0 = nothing was computed under load yet.
    """

    def __init__(self) -> None:
        self.tokens_per_second = 0.0
        self._tokens = self._seconds = 0.0

    def note(self, tokens: int, seconds: float, *, threads: int = 1, loaded: bool) -> None:
        """Learn from a batch.

        Args:
            tokens: Its tokens, padding left out.
            seconds: How long it was computed.
            threads: How many threads computed batches meanwhile, this one included.
            loaded: Whether others waited when it began.
        """
        tokens, seconds = threads * tokens, max(seconds, 1e-6)
        if loaded:
            self._tokens = (1 - _SHARE) * self._tokens + tokens
            self._seconds = (1 - _SHARE) * self._seconds + seconds
            self.tokens_per_second = self._tokens / self._seconds
        elif self.tokens_per_second:
            self.tokens_per_second = max(self.tokens_per_second, tokens / seconds)

    def tokens_in(self, seconds: float, otherwise: int) -> int:
        """Tokens computed in that time; `otherwise` where nothing is known, and at most that."""
        if not self.tokens_per_second:
            return otherwise
        return min(otherwise, int(seconds * self.tokens_per_second))

    def seconds_for(self, tokens: int) -> float:
        """How long that many tokens take; 0 where nothing is known."""
        return tokens / self.tokens_per_second if self.tokens_per_second else 0.0
