"""Whether the teacher's outputs have room on disk, to be kept for all students."""

from collections.abc import Sequence
from pathlib import Path

from leanformer.core.storage.files import check_space
from leanformer.data import encode_examples
from leanformer.data.task import joined
from leanformer.distill.objective import Objective, dims_of
from leanformer.search.contest import Contest
from leanformer.search.request import examples_of

_MOST = 8 * 10**9  # bytes
_MORE_PIECES = 1.25  # a cut vocabulary spells some words with more pieces
_BYTES = 2  # of a number in bf16


def have_room(contest: Contest, folder: Path, objectives: Sequence[Objective]) -> bool:
    """Whether what the objectives compare, of all texts, fits into `folder` and is not too much."""
    dataset, kind = contest.dataset, contest.dataset.task.kind
    texts = joined(dataset.train, dataset.unlabelled, kind)
    encoded = encode_examples(texts, contest.tokenizer, kind, contest.request.max_length)
    more = examples_of(contest.request, dataset) / len(encoded)  # altered copies are as long
    tokens = round(more * sum(encoded.length(index) for index in range(len(encoded))))
    task, dims = dataset.task, dims_of(contest.teacher)
    if any(one.needs_hidden for one in objectives):
        numbers = tokens * (dims.layers + 1) * dims.hidden
    else:
        answer = dims.hidden if task.about.output == "vector" else task.outputs
        numbers = answer * (tokens if task.about.per_token else round(more * len(encoded)))
    needed = round(_MORE_PIECES * _BYTES * numbers)
    try:
        check_space(folder, needed)
    except OSError:
        return False
    return needed <= _MOST
