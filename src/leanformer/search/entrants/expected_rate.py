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

from leanformer.distill.ngrams import fit_ngrams
from leanformer.measure.gates import choose_threshold, find_gate
from leanformer.measure.promise import Promise, judge_promise
from leanformer.runtime.gates import shifted
from leanformer.search.contest import Contest
from leanformer.search.entry import whole_teacher
from leanformer.search.judged import judge_outputs, thresholds_of

GATE = "margin"
FIFTH = 5
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
    train, task = contest.dataset.train, contest.dataset.task
    held = [index for index in range(len(train)) if index % FIFTH == 0][:_MOST]
    rest = [index for index in range(len(train)) if index % FIFTH]
    fifth = train.take(held)
    given: list[Any] | None = fifth.words if task.about.reads_words else fifth.texts
    assert given is not None
    asked = given, fifth.pairs
    contest.tell(f"n-grams without a fifth of train, and the teacher, answer {len(held)} of it")
    ours = fit_ngrams(train.take(rest), task).answer(*asked)
    theirs = whole_teacher(contest.entries).open().answer(*asked)
    own, other = (thresholds_of(outputs, fifth, task) for outputs in (ours, theirs))
    statistics = judge_outputs(theirs, fifth, task).statistics

    def judge(outputs: list[Any]) -> Promise:
        mixed = judge_outputs(outputs, fifth, task).statistics
        return judge_promise(task.scorer(), statistics, mixed, keep=contest.request.keep)

    scores = find_gate(GATE).scores(ours, contest.kind, own)
    found = choose_threshold(scores, shifted(ours, own, other), theirs, judge).holds
    return 1.0 if found is None else found.rate
