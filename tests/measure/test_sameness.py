from pathlib import Path

import numpy as np
import pytest
from quantize.test_quantize_aware import workspace_of

from leanformer.measure.sameness import dev_outputs, same_outputs


def test_outputs_may_differ_by_noise_only() -> None:
    exact = [np.array([1.0, -2.0], np.float32)]
    assert same_outputs(exact, [exact[0] - 1e-6], "nothing").ok
    proof = same_outputs(exact, [exact[0] - 1e-3], "cutting")
    assert not proof.ok
    assert proof.claim == "largest change of an output by cutting"
    assert proof.after == pytest.approx(1e-3, rel=1e-3)
    assert same_outputs(exact, [exact[0] - 1e-3], "cutting", noise=1e-3).ok


def test_what_is_compared_is_said_without_dropout(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path)
    workspace.model.train()
    first, again = (dev_outputs(workspace, workspace.model, 32) for _ in range(2))
    assert len(first) == 16
    assert same_outputs(first, again, "nothing").after == 0
