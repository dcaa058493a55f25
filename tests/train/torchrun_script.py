"""A training under `torchrun`, for `test_torchrun`: python torchrun_script.py TESTS FOLDER ZERO KILLS

In the attempts before KILLS rank 1 kills itself in the middle of a step.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, sys.argv[1])

import torch
from torch import nn
from train.execution import layout_cases as cases

from leanformer.data import Batch
from leanformer.train.loop import fit
from leanformer.train.parallel import Parallel


class Deadly(cases.Projected):
    """Dies in the third step of its process."""

    passes = 0

    def identity(self) -> dict[str, Any]:
        return {}

    def terms(self, outputs: Any, batch: Batch) -> Any:
        self.passes += 1
        attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        if self.passes == 3 and os.environ.get("RANK") == "1" and attempt < int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().terms(outputs, batch)


def main() -> None:
    torch.set_num_threads(1)
    folder, zero = Path(sys.argv[2]), int(sys.argv[3])
    made, loss = cases.whole_batches(), Deadly()
    parallel = Parallel(zero=zero)  # type: ignore[arg-type]
    setup = replace(made.setup, steps=6, checkpoint_seconds=0, parallel=parallel)
    begun: list[int] = []

    def hook(model: nn.Module, progress: Any) -> None:
        begun.append(progress.step)

    fitted = fit(made.model, made.data, loss, setup, folder=folder / "checkpoint", hooks=[hook])
    if os.environ.get("RANK", "0") == "0":
        found = {"losses": fitted.losses, "model": made.model.state_dict(), "first": begun[0]}
        torch.save(found, folder / "result.pt")


main()
