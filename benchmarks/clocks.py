"""What a page says about its times: what was inside the timer, and on which machine."""

import json
from collections.abc import Iterable
from typing import Any

WITHOUT = (
    "These times were taken without tokenization, from token ids to outputs, alike for every "
    "system; today the timer begins with the strings, and the models will be timed so when they "
    "are trained anew."
)


def clock_notes(clocks: Iterable[dict[str, Any]]) -> list[str]:
    """Lines for the end of a page that shows these `clock` events."""
    clocks = list(clocks)
    lines = [f"\n{WITHOUT}"] if without_tokenization(clocks) else []
    machines = {json.dumps(clock["environment"], sort_keys=True) for clock in clocks}
    return lines + [f"\nMachine: `{machine}`" for machine in sorted(machines)]


def without_tokenization(clocks: Iterable[dict[str, Any]]) -> bool:
    """Whether some were timed before the timer began with strings, which is when one thread came
    to be timed too."""
    return any("throughput_one_thread" not in clock["quantities"] for clock in clocks)
