"""Every example runs."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

_SERVERS = ("serve", "serve_wsgi")  # of test_serving.py
_EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
_RUN = [path for path in _EXAMPLES if path.stem not in _SERVERS]


def test_there_are_examples():
    assert len(_EXAMPLES) >= 3


@pytest.mark.parametrize("path", _RUN, ids=lambda path: path.stem)
def test_an_example_runs(path, desk):
    if "Trainer" in path.read_text() and importlib.util.find_spec("accelerate") is None:
        pytest.skip("transformers' Trainer needs accelerate")
    words = ["lean/model"] if "sys.argv" in path.read_text() else []
    ended = subprocess.run(
        [sys.executable, str(path), *words],
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.strip()
