"""How few layers must stay in floating point so that a quality holds.

    layers by what they lose in int8, each alone, worst first        l_1 ≥ l_2 ≥ l_3 ≥ …
    keep the first k:   k = 0, 1, 2, 4, 8, … until the quality holds, then halve what lies between

A layer's own loss says which to try first, not how much the task minds: that is measured, on the
graph that will run. Quality need not grow with every layer that is kept, so k is the least that was
tried and held, and the next smaller one that was tried did not.
"""

from collections.abc import Callable


def least_kept(most: int, holds: Callable[[int], bool]) -> int | None:
    """The least k of 0 … `most` found to hold; None where none that was tried does.

    Args:
        most: The largest k.
        holds: Whether the quality holds with the first k layers in floating point; asked about
            2 log2(most) times.
    """
    if holds(0):
        return 0
    failed, tried = 0, 1
    while not holds(min(tried, most)):
        if tried >= most:
            return None
        failed, tried = tried, 2 * tried
    held = min(tried, most)
    while held - failed > 1:
        middle = (held + failed) // 2
        failed, held = (failed, middle) if holds(middle) else (middle, held)
    return held
