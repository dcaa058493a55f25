"""Whether a cascade passes on as many texts as on dev: if not, dev's promise is of other texts.

    dev     k of m texts were passed on
    now     x of n are
    chance  of a difference at least as unlikely, if both are drawn alike (Fisher's exact test):

            P(x) = C(n, x) C(m, k) / C(n + m, x + k)        summed over all P <= P(observed)

Speed and quality were measured at dev's rate. A text that is passed on costs the second system's
time b besides the first one's a, so that the time per text at rate r is a + r b.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leanformer.measure.interleave import timed
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.serving.predictor import Predictor
from leanformer.runtime.system import System
from leanformer.runtime.systems.cascade import Cascade

CONFIDENCE = 0.99
"""How sure it has to be that a rate has changed, before anybody is warned."""
_TIMED = 64  # texts that the second system is timed on


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How many texts are passed on, and how many were on dev.

    Attributes:
        deferred: Number of these texts that are passed on.
        texts: Number of these texts.
        dev_deferred: Number of dev texts that were passed on.
        dev_texts: Number of dev texts.
        chance: Probability of such a difference, or a less likely one, between texts of one kind.
        throughput: Texts per second to be expected at this rate, as a multiple of those at dev's.
    """

    deferred: int
    texts: int
    dev_deferred: int
    dev_texts: int
    chance: float
    throughput: float

    @property
    def rate(self) -> float:
        """The share of these texts that is passed on."""
        return self.deferred / self.texts

    @property
    def dev_rate(self) -> float:
        """The share of dev that was passed on."""
        return self.dev_deferred / self.dev_texts

    @property
    def drifted(self) -> bool:
        """Whether the rate differs from dev's, at `CONFIDENCE`."""
        return self.chance < 1 - CONFIDENCE

    @property
    def warning(self) -> str:
        """What has changed and what follows from it; "" where nothing has."""
        if not self.drifted:
            return ""
        return (
            f"{self.rate:.1%} of these {self.texts:,} texts are passed on to the second system, "
            f"and {self.dev_rate:.1%} of the {self.dev_texts:,} dev texts were: they differ by "
            f"more than chance explains ({CONFIDENCE:.0%} confidence). Expect about "
            f"{self.throughput:.2f} times the throughput of texts like dev's; the quality was "
            "judged on dev's mix of texts and may be another one on these. Judge the cascade on "
            "labeled texts like these, or choose its threshold on them"
        )


def measure_drift(
    folder: Path,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    threads: int | None = None,
) -> Drift:
    """Compare the share of `texts` that a cascade passes on with that of dev.

    Only the outermost cascade of a folder is looked at: parts inside it see the texts that reach
    them, which dev's numbers are not of.

    Args:
        folder: The folder of a cascade.
        texts: Texts like those that it serves.
        pairs: Their second texts.
        threads: As many as there are cores, unless given.

    Raises:
        ValueError: The folder is not a cascade's, or there are no texts.
    """
    system = open_system(folder, threads=threads)
    if not isinstance(system, Cascade):
        raise ValueError(f"{folder}: {system.name} passes no texts on; only a cascade does")
    if not texts:
        raise ValueError("texts: a rate is of the caller's texts; there are none")
    passed_N = passed_on(system, texts, pairs)
    deferred, rule = int(passed_N.sum()), system.rule
    some = [*np.flatnonzero(passed_N), *np.flatnonzero(~passed_N)][:_TIMED]
    beside = None if pairs is None else [pairs[place] for place in some]
    first = _seconds(system.first, texts, pairs)
    second = _seconds(system.second, [texts[place] for place in some], beside)
    rate, dev_rate = deferred / len(texts), rule.rate
    return Drift(
        deferred=deferred,
        texts=len(texts),
        dev_deferred=rule.deferred,
        dev_texts=rule.texts,
        chance=chance_of(deferred, len(texts), rule.deferred, rule.texts),
        throughput=(first + dev_rate * second) / (first + rate * second),
    )


def passed_on(
    system: Cascade, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Which texts a cascade passes on, [N]; the second system is not asked."""
    return system.passes_on(Predictor(system.first).answer(texts, pairs))


def chance_of(deferred: int, texts: int, dev_deferred: int, dev_texts: int) -> float:
    """Fisher's exact test, two-sided: the probability of a table no likelier than this one."""
    total = deferred + dev_deferred
    counts = np.arange(max(0, total - dev_texts), min(texts, total) + 1, dtype=np.float64)
    x = counts[:-1]  # log P(x + 1) - log P(x), summed up
    up = np.log(texts - x) + np.log(total - x)
    down = np.log(x + 1) + np.log(dev_texts - total + x + 1)
    logs = np.concatenate([[0.0], np.cumsum(up - down)])
    shares = np.exp(logs - logs.max())
    own = shares[deferred - int(counts[0])]
    return float(min(1.0, shares[shares <= own * (1 + 1e-7)].sum() / shares.sum()))


def _seconds(system: System, texts: Sequence[str], pairs: Sequence[str] | None) -> float:
    """Seconds per text, at the second time of asking."""
    predictor = Predictor(system)
    predictor.answer(texts, pairs)
    return timed(lambda: predictor.answer(texts, pairs)).wall / len(texts)
