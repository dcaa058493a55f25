"""How sure a system is of its answers: all gates, each one file."""

from leanformer.core.codec import decode
from leanformer.runtime.gates.entropy import Entropy
from leanformer.runtime.gates.gate import Gate, check_gated, is_gated
from leanformer.runtime.gates.margin import Margin
from leanformer.runtime.gates.reliability import Reliability
from leanformer.runtime.gates.thresholds import shifted

__all__ = [
    "Entropy",
    "Gate",
    "Margin",
    "Reliability",
    "check_gated",
    "find_gate",
    "is_gated",
    "shifted",
]


def find_gate(name: str) -> Gate:
    """The gate called `name`, with its default settings.

    Raises:
        ValueError: There is none, or it needs settings; the message has the list.
    """
    gate: Gate = decode(Gate, name, "gate")
    return gate
