"""What a million texts cost: the time that one thread of this machine takes to answer them.

    seconds per million = 10⁶ / texts per second on one thread

A record without times on one thread has the CPU seconds per text of the load on all threads; then
these are taken, for all systems alike. Money is this time at a price per core-hour, which only the
reader knows.
"""

from leanformer.core.quantity import Quantity
from leanformer.report.lineup import Lineup, System

MILLION = 1_000_000
CORE_HOUR = 0.04
"""The price of an hour of one core that the page begins with: an assumption, to be replaced."""

_ONE_THREAD = "throughput_one_thread"


def million(field: Lineup, system: System) -> Quantity | None:
    """Seconds of one thread per million texts; None where they were not measured."""
    timed = [s for s in field.systems if s.of(_ONE_THREAD) or s.of("cpu_time")]
    if all(s.of(_ONE_THREAD) for s in timed):
        rate = system.of(_ONE_THREAD)
        return None if rate is None or not rate.value else _inverted(rate)
    each = system.of("cpu_time")
    if each is None or not each.value:
        return None
    low, high = (None if q is None else MILLION * q for q in (each.low, each.high))
    return Quantity(MILLION * each.value, "s", low, high)


def _inverted(rate: Quantity) -> Quantity:
    low, high = (MILLION / q if q else None for q in (rate.high, rate.low))
    return Quantity(MILLION / rate.value, "s", low, high)
