"""How many texts n-grams will pass on, as training texts say: so that what is tested on dev, and
from where, is fixed before dev is looked at.

    n-grams           fitted on four fifths of the training texts
    expected rate     the least share of the last fifth that they may pass on, if the whole teacher
                      answers those and the estimate holds

The teacher has seen these texts, and answers nearly all of them rightly; the n-grams have seen
fewer than they could. So the rate is rather too high: beside eight rates that dev proved, 0.01 to
0.35, it was 1 to 14 times as high, twice in the middle (LOG.md). It chooses what is tested; no
promise rests on it.
"""

from typing import Any

import numpy as np

from leanformer.distill.ngrams import fit_ngrams
from leanformer.measure.gates import choose_threshold, find_gate
from leanformer.measure.promise import Promise, judge_promise
from leanformer.runtime.gates import shifted
from leanformer.search.contest import Contest
from leanformer.search.entrants.ngrams import hold_out_fifth
from leanformer.search.entry import whole_teacher
from leanformer.search.judged import judge_outputs, judge_system, thresholds_of

GATE = "margin"
_MOST = 1000  # texts of the last fifth that the teacher answers


def expected_rate(contest: Contest) -> float:
    """The rate, found once; the record keeps it. 1 where there are too few texts to say.

    Args:
        contest: The contest, whose n-grams and baselines have entered.
    """
    known = [event["rate"] for event in contest.known("expected-rate")]
    if known:
        return float(known[-1])
    try:
        rate = _rate(contest)
    except ValueError:  # four fifths have one class, or the metric is not above 0 on the rest
        rate = 1.0
    contest.record.write("expected-rate", rate=rate)
    return rate


def _rate(contest: Contest) -> float:
    task = contest.dataset.task
    others, fifth = hold_out_fifth(contest.dataset.train)
    # drawn, as texts may be in the order of their labels
    drawn = np.random.default_rng(contest.request.seed).permutation(len(fifth))[:_MOST]
    fifth = fifth.take(drawn.tolist())
    contest.tell(f"n-grams without a fifth of train, and the teacher, answer {len(fifth)} of it")
    first = judge_system(fit_ngrams(others, task), fifth, task)
    second = judge_system(whole_teacher(contest.entries).open(), fifth, task)
    own, theirs = (thresholds_of(one.outputs, fifth, task) for one in (first, second))

    def judge(outputs: list[Any]) -> Promise:
        mixed = judge_outputs(outputs, fifth, task).statistics
        return judge_promise(task.scorer(), second.statistics, mixed, keep=contest.request.keep)

    scores = find_gate(GATE).scores(first.outputs, contest.kind, own)
    shown = shifted(first.outputs, own, theirs)
    found = choose_threshold(scores, shown, second.outputs, judge).holds
    return 1.0 if found is None else found.rate
