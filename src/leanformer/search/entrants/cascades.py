"""Cascades of a search: a cheap system answers what it is sure of, and passes the rest on.

What is tested, and what dev proves of it, is a matter of `chains`; here the cheapest that are
proven are saved as folders that answer texts, and take part like any other system.
"""

from pathlib import Path

from leanformer.core.identity.digest import digest, short
from leanformer.core.quantity import Quantity
from leanformer.report.units import percent
from leanformer.runtime.systems.cascade import save_cascade
from leanformer.search.contest import Contest
from leanformer.search.entrants.chains import Chain, judge_chains, share_confidence
from leanformer.search.entrants.expected_rate import GATE
from leanformer.search.entrants.fitted import enter_served

_ENTERED = 2  # cascades that are timed beside the others; the report draws all of them
_DECIMALS = 2


def enter_cascades(contest: Contest, folder: Path) -> list[Chain]:
    """Let cascades take part: of each chain the one that passes on the fewest texts, if it is
    proven, or its estimate holds; the fastest of them are timed.

    Args:
        contest: All single systems, judged on dev.
        folder: Where cascades are saved.

    Returns:
        All chains, those too of which none takes part.
    """
    chains = judge_chains(contest)
    confidence = share_confidence(contest, chains)
    mixed = [one for one in chains if (chosen := one.gated.chosen) and 0 < chosen.rate < 1]
    mixed.sort(key=lambda one: (one.gated.proven is None, one.cost, one.name))
    for chain in chains:
        _record(contest, chain, confidence)
    for chain in mixed[:_ENTERED]:
        _enter(contest, chain, folder)
    return chains


def _enter(contest: Contest, chain: Chain, folder: Path) -> None:
    """Save a cascade, judge it as it is served, and let it take part."""
    chosen = chain.gated.chosen
    assert chosen is not None
    second = chain.second
    contest.describe_entry(second, fast=True)  # it may describe itself as another form
    place = folder / short(digest(chain.name))
    saved = save_cascade(
        place,
        chain.first.folder,
        second.folder,
        names=(chain.first.name, second.name),
        gate=GATE,
        threshold=chosen.threshold,
        deferred=chosen.deferred,
        texts=chosen.texts,
        overwrite=True,
    )
    contest.describe_entry(second)
    deferral = {"deferral": Quantity(chosen.rate, "")}
    enter_served(contest, chain.name, "candidate", place, deferral, saved.thresholds)
    proven = "proven" if chain.gated.proven else "an estimate that holds"
    contest.say(
        f"cascade {chain.name}: passes on {chosen.rate:.1%} of dev, keeps "
        f"{percent(chosen.promise.kept, _DECIMALS)} of the teacher's quality ({proven})"
    )


def _record(contest: Contest, chain: Chain, confidence: float) -> None:
    gated = chain.gated
    contest.record.write(
        "gate",
        name=chain.name,
        first=chain.first.name,
        second=chain.second.name,
        gate=GATE,
        confidence=confidence,
        rows=[
            {
                "rate": row.rate,
                "threshold": row.threshold,
                "kept": row.promise.kept,
                "lower": row.promise.lower,
                "proven": row.promise.proven,
            }
            for row in gated.rows
        ],
        rate=None if gated.chosen is None else gated.chosen.rate,
        proven=gated.proven is not None,
    )
