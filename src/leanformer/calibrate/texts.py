"""Real inputs to gather statistics on: training texts, one at a time, so that nothing is padded."""

from torch import Tensor

from leanformer.core.workspace import Workspace
from leanformer.data import encode_examples


def training_texts(workspace: Workspace, count: int, max_length: int) -> list[dict[str, Tensor]]:
    """The first training texts as inputs of the model, each a batch of its own.

    Args:
        workspace: Whose texts and tokenizer.
        count: How many, at most.
        max_length: Longer texts are cut to this many tokens.
    """
    train, kind = workspace.dataset.train, workspace.dataset.task.kind
    some = train.take(list(range(min(count, len(train)))))
    encoded = encode_examples(some, workspace.tokenizer, kind, max_length)
    return [encoded.batch([index]).inputs for index in range(len(some))]
