"""A measured number with its unit and its spread."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Quantity:
    """A median with the quartiles around it.

    Attributes:
        value: The median, or the only value.
        unit: One of "s", "texts/s", "bytes", "FLOP/token", "s/text", "x", "".
        low: First quartile; None where there is one value.
        high: Third quartile; None where there is one value.
    """

    value: float
    unit: str
    low: float | None = None
    high: float | None = None

    def json(self) -> dict[str, Any]:
        """The form in which records keep it; absent spreads are left out."""
        pairs = {"value": self.value, "unit": self.unit, "low": self.low, "high": self.high}
        return {key: value for key, value in pairs.items() if value is not None}
