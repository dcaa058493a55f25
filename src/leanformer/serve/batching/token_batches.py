"""Which of the waiting texts are computed next: the oldest, and those nearest to it in length.

    batch = {oldest} ∪ nearest in length        rows · longest <= batch_tokens

A batch costs as much as if every text were as long as its longest. Among the oldest texts, up to
four batches of them, those of about the oldest one's length are taken, so that little is padded.
The oldest text is in every batch, so none waits for more batches than there are texts before it.
"""

from collections.abc import Sequence

WINDOW = 4
"""Batches of texts among which those of similar length are sought."""


def choose_batch(tokens: Sequence[int], batch_tokens: int) -> list[int]:
    """Indices of the texts to compute now, in the order in which they came.

    Args:
        tokens: Tokens of each waiting text, the oldest first; at least one text.
        batch_tokens: Rows times the tokens of the longest row, at most; the oldest text is taken
            whatever its length.
    """
    window, seen = 0, 0
    while window < len(tokens) and seen < WINDOW * batch_tokens:
        seen += tokens[window]
        window += 1
    oldest = tokens[0]
    near = sorted(range(1, window), key=lambda index: (abs(tokens[index] - oldest), index))
    chosen, longest = [0], oldest
    for index in near:
        most = max(longest, tokens[index])
        if (len(chosen) + 1) * most > batch_tokens:
            break
        chosen.append(index)
        longest = most
    return sorted(chosen)
