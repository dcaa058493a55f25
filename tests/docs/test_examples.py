"""Every example runs."""

import importlib.util
import json
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


_EACH = """
import contextlib, io, json, runpy, sys, traceback
said = {}
for path, words in json.loads(sys.argv[1]):
    sys.argv, shown = [path, *words], io.StringIO()
    try:
        with contextlib.redirect_stdout(shown):
            runpy.run_path(path, run_name="__main__")
        said[path] = "" if shown.getvalue().strip() else "it shows nothing"
    except BaseException:
        said[path] = traceback.format_exc()
with open("said.json", "w") as file:
    json.dump(said, file)
"""


@pytest.fixture(scope="module")
def said(desk):
    """What went wrong with each example, in one process beside the pages' folders."""
    asked = [
        (str(path), ["lean/model"] if "sys.argv" in path.read_text() else [])
        for path in _RUN
        if not _lacks(path)
    ]
    ended = subprocess.run(
        [sys.executable, "-c", _EACH, json.dumps(asked)],
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads((desk / "said.json").read_text())


def _lacks(path):
    """Whether transformers' Trainer cannot work for want of accelerate."""
    return "Trainer" in path.read_text() and importlib.util.find_spec("accelerate") is None


@pytest.mark.parametrize("path", _RUN, ids=lambda path: path.stem)
def test_an_example_runs(path, said):
    if _lacks(path):
        pytest.skip("transformers' Trainer needs accelerate")
    assert said[str(path)] == ""
