from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from leanformer.core.storage.safetensors_file import read_arrays


def test_arrays_come_back(tmp_path: Path) -> None:
    save_file({"a": np.arange(6.0).reshape(2, 3)}, tmp_path / "x.safetensors")
    found = read_arrays(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(found["a"], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("kept", [0, 4, 40, -1])
def test_a_file_that_was_cut_is_named(kept: int, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    save_file({"a": np.arange(6.0)}, file)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"x\.safetensors is not a whole safetensors file"):
        read_arrays(file)


def test_one_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        read_arrays(tmp_path / "gone.safetensors")
