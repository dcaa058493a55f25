"""Full disks, real and told of: a tmpfs where it can be mounted, a limit of a file's size anywhere."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file
from small_disk import small_disk

from leanformer.core.storage import disk, files
from leanformer.core.storage.disk import DiskFull, naming_disk
from leanformer.core.storage.several_files import new_files

SIZE = 2**20


@pytest.fixture
def full(tmp_path):
    """A folder on a file system with room for half of SIZE."""
    with small_disk(tmp_path / "disk", SIZE // 2) as place:
        yield place


def save(folder):
    save_file({"w": np.zeros(SIZE, np.uint8)}, folder / "w.safetensors")


def test_a_full_disk_keeps_the_former_file(full):
    files.write_text(full / "a.json", "old")
    with pytest.raises(
        DiskFull, match=r"a.json could not be written: No space left.*1 MiB are needed"
    ):
        files.write_bytes(full / "a.json", os.urandom(SIZE))
    assert (full / "a.json").read_text() == "old"
    assert os.listdir(full) == ["a.json"]


def test_a_full_disk_keeps_the_former_folder(full):
    with files.new_folder(full / "model") as folder:
        (folder / "one").write_text("old")
    said = r"disk/model could not be written: No space left.*are free"
    with (
        pytest.raises(DiskFull, match=said),
        files.new_folder(full / "model", overwrite=True) as folder,
    ):
        save(folder)
    assert (full / "model" / "one").read_text() == "old"
    assert os.listdir(full) == ["model"]


def test_a_full_disk_keeps_the_former_graph(full):
    with new_files(full, "a.xml") as path:
        path.write_text("old")
    with (
        pytest.raises(DiskFull, match=r"disk/a.xml could not be written"),
        new_files(full, "a.xml", overwrite=True) as path,
    ):
        path.with_suffix(".bin").write_bytes(os.urandom(SIZE))
    assert (full / "a.xml").read_text() == "old"
    assert os.listdir(full) == ["a.xml"]


def test_room_for_a_mapped_file_is_there_or_not_at_all(full):
    files.allocate_file(full / "small.bin", 4096)
    np.memmap(full / "small.bin", np.uint8, "r+", shape=(4096,))[:] = 1
    with pytest.raises(DiskFull, match=r"large.bin could not be written"):
        files.allocate_file(full / "large.bin", SIZE)
    assert os.listdir(full) == ["small.bin"]


def test_a_stream_of_cpp_that_fails_on_a_full_disk(full):
    """OpenVINO says "iostream error", whatever went wrong."""
    with pytest.raises(DiskFull, match="No space left"), naming_disk(full / "a.xml"):
        with pytest.raises(OSError, match="No space"):
            (full / "a.bin").write_bytes(os.urandom(SIZE))
        raise RuntimeError("basic_ios::clear: iostream error")


def test_a_stream_of_cpp_that_fails_elsewhere(tmp_path):
    with pytest.raises(RuntimeError, match="iostream"), naming_disk(tmp_path / "a.xml"):
        raise RuntimeError("basic_ios::clear: iostream error")


SCRIPT = """
import resource, signal, sys
from pathlib import Path
from leanformer.core.storage.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
write_bytes(Path(sys.argv[1]), bytes(10000))
"""


def test_a_limit_of_the_size_of_files_is_named_too(tmp_path: Path) -> None:
    words = [sys.executable, "-c", SCRIPT, str(tmp_path / "a")]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "a could not be written: File too large (10 KiB are needed" in ended.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "No space left on device"),
        (OSError(errno.EDQUOT, "x"), "Disk quota exceeded"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "No space left"),
        (Exception("Disk quota exceeded (os error 122)"), "Disk quota exceeded"),
    ],
)
def test_every_way_to_say_it_becomes_one(tmp_path, error, words):
    place = tmp_path / "not" / "yet" / "a"
    said = rf"yet/a could not be written: {words}"
    with pytest.raises(DiskFull, match=said) as found, naming_disk(place):
        raise error
    assert "free some space, and give the same command again" in str(found.value)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EACCES, "No space left on device"), ValueError("x"), KeyboardInterrupt()],
)
def test_other_faults_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)) as found, naming_disk(tmp_path):
        raise error
    assert found.value is error


def test_the_outermost_path_is_named(tmp_path):
    said = r"/model could not be written: No space.*3 KiB are needed"
    inner = naming_disk(tmp_path / "part", 3000)
    with pytest.raises(DiskFull, match=said), naming_disk(tmp_path / "model"), inner:
        raise OSError(errno.ENOSPC, "x")


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, None])
def test_a_file_system_without_reservation_gets_zeros(tmp_path, monkeypatch, number):
    def unsupported(*_):
        raise OSError(number, "x")

    if number is None:
        monkeypatch.delattr(disk.os, "posix_fallocate")
    else:
        monkeypatch.setattr(disk.os, "posix_fallocate", unsupported)
    files.allocate_file(tmp_path / "a", 3 * SIZE + 5)
    assert (tmp_path / "a").read_bytes() == bytes(3 * SIZE + 5)


def test_too_little_space_is_said_beforehand(tmp_path):
    disk.check_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(OSError, match="MiB are needed"):
        disk.check_space(tmp_path, 10**18)
