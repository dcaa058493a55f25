"""What every optimizer must do in a training: it learns, and a killed training goes on as it was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from train.toy import FAST, toy

from leanformer.train import Supervised, fit


def require_training_goes_on(optimizer: Any, folder: Path) -> None:
    """Train, and train again with a kill in between: the loss falls, and both give the same."""
    setup = replace(FAST, optimizer=optimizer)

    def stop(model: nn.Module, progress: Any) -> None:
        if progress.step == 6:
            raise KeyboardInterrupt

    def run(**settings: Any) -> Any:
        model, encoded = toy()
        return fit(model, encoded, Supervised("classification"), setup, **settings)

    whole = run()
    assert whole.losses[-1] < whole.losses[0]
    with pytest.raises(KeyboardInterrupt):
        run(folder=folder, hooks=[stop])
    assert run(folder=folder) == whole
