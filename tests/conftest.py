"""Tests run offline and on one thread, whatever the machine."""

import os
import re
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from chromium import browser  # noqa: F401  a fixture
from hypothesis import settings

# OpenVINO and NNCF tell nobody of our tests: each telling is a fork of the whole process.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def _handed_over(file: Any) -> None:
    """Nobody cuts the power while tests run, so that nothing has to be on the disk before they go
    on: a training with a checkpoint at every step would wait for it eleven times a step."""
    os.fstat(file if isinstance(file, int) else file.fileno())  # what is closed is an error as ever


os.fsync = _handed_over
torch.set_num_threads(1)
settings.register_profile("shared", deadline=None, max_examples=30)  # no test asserts a time
settings.load_profile("shared")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files that ask for the same finished searches go to one worker, which makes each once."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return re.sub(
                r"(search/test_compress)(_changed|_decisions|_resumed)\.py$", r"\1.py", file
            )

    return Together(config, log)


@pytest.fixture(scope="module")
def unlisted() -> Iterator[None]:
    """Models are saved without a list of their parts, so that a test may edit them as their user."""
    with mock.patch("leanformer.models.io.save.list_written"):
        yield
