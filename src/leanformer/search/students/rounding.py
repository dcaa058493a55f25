"""Whether rounding to int8 is what a student fails by: then it is trained on while it rounds.

A student that keeps enough in int8 is left alone. Of one that does not, the same weights are judged
in fp32: where these would keep enough, a short quantization-aware training follows, and its result
takes the place of the student. The last form that was trained counts, not the better one of the
two, so dev does not choose between them. Still, this one student is judged a second time on the
same texts. Its promise may then be wrong twice as often as was asked at most; since both forms give
almost the same answers, it is little more than once.
"""

from collections.abc import Callable

from leanformer.core.workspace import Workspace
from leanformer.measure.promise import Promise
from leanformer.runtime.serving.opening import open_system
from leanformer.search.contest import Contest
from leanformer.search.students.ladder import Rung


def fails_by_rounding(
    contest: Contest, rung: Rung, done: Workspace, keeps: Callable[[Promise], bool]
) -> bool:
    """Whether a student keeps enough in fp32 and not in int8; the record keeps the answer.

    Args:
        contest: The contest, in which the int8 student has entered.
        rung: Its rung.
        done: What came of its training.
        keeps: Whether a promise is good enough.
    """
    known = [one["fails"] for one in contest.known("rounding") if one["name"] == rung.name]
    if known:
        return bool(known[-1])
    if not contest.graphs or contest.request.portable or keeps(contest.promise(rung.name)):
        return False
    assert done.saved is not None
    threads = contest.request.threads or None
    judged = contest.judge(open_system(done.saved, "pytorch", "fp32", threads), "dev")
    fails = keeps(contest.promise_of(judged)) and contest.free > 0
    int8 = contest.entries[rung.name].dev
    contest.record.write("rounding", name=rung.name, fp32=judged.quality, int8=int8, fails=fails)
    return fails
