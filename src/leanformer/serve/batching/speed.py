"""Tokens per second that a server computes, as seen in its last batches.

    speed ← max(seen, (1 - λ) · speed + λ · seen)        λ = 0.05

A lone short text takes about as long as several, so that batches computed without company say
less than what is possible. A faster batch therefore counts at once and slower ones little by
little: the speed is one that was reached of late, and falls within some fifty batches where it is
reached no longer.
"""

_SHARE = 0.05


class Speed:
    """Tokens per second of late.

    Attributes:
        tokens_per_second: Of all threads together; 0 = nothing was computed yet.
    """

    def __init__(self) -> None:
        self.tokens_per_second = 0.0

    def note(self, tokens: int, seconds: float, threads: int = 1) -> None:
        """Learn from a batch.

        Args:
            tokens: Its tokens, padding left out.
            seconds: How long it was computed.
            threads: How many threads computed batches meanwhile, this one included.
        """
        seen = threads * tokens / max(seconds, 1e-6)
        mixed = (1 - _SHARE) * self.tokens_per_second + _SHARE * seen
        self.tokens_per_second = max(seen, mixed)

    def tokens_in(self, seconds: float, otherwise: int) -> int:
        """Tokens computed in that time; `otherwise` where nothing is known, and at most that."""
        if not self.tokens_per_second:
            return otherwise
        return min(otherwise, int(seconds * self.tokens_per_second))

    def seconds_for(self, tokens: int) -> float:
        """How long that many tokens take; 0 where nothing is known."""
        return tokens / self.tokens_per_second if self.tokens_per_second else 0.0
