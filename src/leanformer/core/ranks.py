"""Whether this process leads: of the processes that `torchrun` starts the first one writes.

    RANK, WORLD_SIZE    what `torchrun` and Slurm's launchers set

The others follow: they train along, and write no record, no report and no model.
"""

import os


def follows() -> bool:
    """Whether another process leads: this one was started with it, and is not the first."""
    return is_rank() and int(os.environ.get("RANK", "0")) > 0


def is_rank() -> bool:
    """Whether this process was started with others, which work together with it."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
