"""Whether the teacher's outputs have room on disk, to be kept for all students."""

from pathlib import Path

from leanformer.core.files import check_space
from leanformer.data import encode_examples
from leanformer.data.task import joined
from leanformer.distill.objective import dims_of
from leanformer.search.contest import Contest

_MOST = 8 * 10**9  # bytes
_MORE_PIECES = 1.25  # a cut vocabulary spells some words with more pieces
_BYTES = 2  # of a number in bf16


def have_room(contest: Contest, folder: Path) -> bool:
    """Whether the outputs of all layers for all texts fit into `folder`, and are not too many."""
    dataset, kind = contest.dataset, contest.dataset.task.kind
    texts = joined(dataset.train, dataset.unlabelled, kind)
    encoded = encode_examples(texts, contest.tokenizer, kind, contest.request.max_length)
    tokens = sum(encoded.length(index) for index in range(len(encoded)))
    dims = dims_of(contest.teacher)
    needed = round(_MORE_PIECES * _BYTES * tokens * (dims.layers + 1) * dims.hidden)
    try:
        check_space(folder, needed)
    except OSError:
        return False
    return needed <= _MOST
