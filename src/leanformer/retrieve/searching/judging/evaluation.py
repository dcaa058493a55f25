"""How well a run answers its queries: recall@k, nDCG@k and the mean reciprocal rank.

    statistics(Ndcg(10), run, judgments)      [Q, 2], one row per judged query, to be resampled
    quality(Ndcg(10), run, judgments)         its mean

What a run does not hold has the lowest rank; a query that it lacks counts as answered by nothing.
Documents without a judgment are not relevant.
"""

from leanformer.numerics.metrics import Statistics
from leanformer.numerics.metrics.ranking import RankingMetric
from leanformer.retrieve.searching.judging.judgments import Judgments, Run

_NOTHING = "\0"
"""The document at a rank that a run leaves empty; no judgment names it."""


def statistics(metric: RankingMetric, run: Run, judgments: Judgments) -> Statistics:
    """Statistics of each judged query [Q, 2], in the order of the judgments.

    Ranks count, not scores: the order of a query's documents in `run` is taken as it stands.
    """
    predicted: list[tuple[str, float]] = []
    gold: list[tuple[str, float]] = []
    for query, grades in judgments.items():
        ranked = [document for document, _ in run.get(query, ())]
        held = set(ranked)
        missing = [document for document in grades if document not in held]
        # Ranks up to k that hold nothing, so that what was not found stands beyond them.
        filled = [*ranked, *[_NOTHING] * max(0, metric.k - len(ranked)), *missing]
        predicted += [(query, -float(rank)) for rank in range(len(filled))]
        gold += [(query, max(0.0, grades.get(document, 0.0))) for document in filled]
    return metric.statistics(predicted, gold)


def quality(metric: RankingMetric, run: Run, judgments: Judgments) -> float:
    """The mean over the queries that have a relevant document; 0 where there is none."""
    return float(metric.value(statistics(metric, run, judgments).sum(axis=0)))
