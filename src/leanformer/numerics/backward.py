"""Whether a module computes for the first time, or once more within a backward pass.

Checkpointed layers run again there, to compute activations that were not kept. A module that takes
note of what it sees (a running range, centroids) has noted it in the forward pass already.
"""

import torch


def runs_again() -> bool:
    """Whether a backward pass is running, so that what computes now is computed once more."""
    return backward_pass() is not None


def backward_pass() -> int | None:
    """The number of the backward pass that is running, unlike that of any other; None = none is."""
    number: int = torch._C._current_graph_task_id()
    return None if number == -1 else number
