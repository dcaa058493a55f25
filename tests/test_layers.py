"""Nothing below imports anything above: the contract in pyproject.toml is kept."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]


def test_import_contract_is_kept():
    tool = shutil.which("lint-imports", path=Path(sys.executable).parent)
    if tool is None:
        pytest.skip("import-linter is not installed")
    ended = subprocess.run(
        [tool, "--no-cache"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
    assert "1 kept, 0 broken" in ended.stdout
