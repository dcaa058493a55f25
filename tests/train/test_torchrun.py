"""Workers that are killed in the middle of a step, under `torchrun`: they are started again, meet
again, and the training ends with the weights of an unbroken one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

TESTS = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("torchrun_script.py")


def trained(folder: Path, *launcher: str, zero: int = 0, kills: int = 0) -> dict[str, Any]:
    folder.mkdir()
    command = [sys.executable, *launcher, SCRIPT, TESTS, folder, str(zero), str(kills)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    environment.pop("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", None)
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = torch.load(folder / "result.pt")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("zero", [3])
def test_a_killed_worker_is_started_again_and_the_training_goes_on(
    tmp_path: Path, zero: int
) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    expected = trained(tmp_path / "unbroken")
    found = trained(tmp_path / "killed", *launcher, "--max-restarts", "2", zero=zero, kills=2)
    assert found["first"] > 1  # the last attempt went on from a checkpoint
    assert len(found["losses"]) == 6
    torch.testing.assert_close(found["losses"], expected["losses"], rtol=1e-10, atol=0)
    for name, tensor in expected["model"].items():
        torch.testing.assert_close(found["model"][name], tensor, rtol=1e-10, atol=1e-10)
