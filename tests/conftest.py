"""Tests run offline and on one thread, whatever the machine."""

import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Iterator
from unittest import mock

import pytest
import torch
from hypothesis import settings

# OpenVINO and NNCF tell nobody of our tests: each telling is a fork of the whole process.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

torch.set_num_threads(1)
settings.register_profile("shared", deadline=None, max_examples=60)  # no test asserts a time
settings.load_profile("shared")


@pytest.fixture(scope="module")
def unlisted() -> Iterator[None]:
    """Models are saved without a list of their parts, so that a test may edit them as their user."""
    with mock.patch("leanformer.models.io.save.list_written"):
        yield
