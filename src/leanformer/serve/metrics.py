"""Counters, gauges and histograms in the text form that Prometheus reads.

    # HELP leanformer_requests_total Requests answered.
    # TYPE leanformer_requests_total counter
    leanformer_requests_total{worker="4711",route="/predict",status="200"} 12

Buckets of a histogram are cumulative: `le="0.1"` counts what took at most 0.1. Every series names
the process that counted it, since each worker of a server counts for itself.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_POWERS = tuple(float(2**power) for power in range(14))


@dataclass(frozen=True)
class Family:
    """A metric: its help line, and the upper bounds of its buckets if it is a histogram."""

    help: str
    bounds: tuple[float, ...] = ()


FAMILIES = {
    "leanformer_requests_total": Family("Requests answered, by route and status."),
    "leanformer_request_seconds": Family("Time from request to answer.", _SECONDS),
    "leanformer_texts_total": Family("Texts computed."),
    "leanformer_tokens_total": Family("Tokens computed, padding left out."),
    "leanformer_batch_texts": Family("Texts per batch.", _POWERS[:10]),
    "leanformer_batch_tokens": Family("Tokens per batch, padding left out.", _POWERS[3:]),
    "leanformer_batch_seconds": Family("Time to compute a batch.", _SECONDS),
    "leanformer_wait_seconds": Family("Time that a text waited to be computed.", _SECONDS),
}


class Histogram:
    """Counts of values by bucket, their number and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: Labels) -> list[str]:
        """Its series: cumulative buckets, sum and count."""
        total, made = 0, []
        for bound, count in zip([*map(_number, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            made.append(f"{name}_bucket{_braces((*labels, ('le', bound)))} {total}")
        braces = _braces(labels)
        return [*made, f"{name}_sum{braces} {_number(self.sum)}", f"{name}_count{braces} {total}"]


class Metrics:
    """What one process counted. Any thread may count."""

    def __init__(self, worker: str) -> None:
        """Count for the process called `worker`."""
        self.worker, self._lock = worker, threading.Lock()
        self._counts: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, Histogram]] = {}
        self._gauges: dict[str, tuple[str, Callable[[], float], Labels]] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter of `FAMILIES`."""
        key = tuple(labels.items())
        with self._lock:
            series = self._counts.setdefault(name, {})
            series[key] = series.get(key, 0) + amount

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Count a value in a histogram of `FAMILIES`."""
        key = tuple(labels.items())
        with self._lock:
            series = self._histograms.setdefault(name, {})
            if key not in series:
                series[key] = Histogram(FAMILIES[name].bounds)
            series[key].add(value)

    def gauge(self, name: str, help: str, value: Callable[[], float], **labels: str) -> None:
        """Show what `value` returns whenever the metrics are read."""
        self._gauges[name] = (help, value, tuple(labels.items()))

    def text(self) -> str:
        """All series, as Prometheus reads them."""
        own: Labels = (("worker", self.worker),)
        lines: list[str] = []
        with self._lock:
            for name, counts in self._counts.items():
                lines += _head(name, FAMILIES[name].help, "counter")
                lines += [
                    f"{name}{_braces(own + key)} {_number(value)}" for key, value in counts.items()
                ]
            for name, histograms in self._histograms.items():
                lines += _head(name, FAMILIES[name].help, "histogram")
                for key, histogram in histograms.items():
                    lines += histogram.lines(name, own + key)
        for name, (help, value, key) in self._gauges.items():
            lines += [*_head(name, help, "gauge"), f"{name}{_braces(own + key)} {_number(value())}"]
        return "\n".join(lines) + "\n"


def _head(name: str, help: str, kind: str) -> list[str]:
    return [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
