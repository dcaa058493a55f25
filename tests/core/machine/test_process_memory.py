import mmap
from pathlib import Path

from leanformer.core.machine.process_memory import process_bytes

NOISE = 2**22  # the kernel counts pages in lots


def test_what_is_held_is_what_the_kernel_says_elsewhere() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    assert abs(process_bytes("VmRSS") - pages * mmap.PAGESIZE) < NOISE


def test_the_mark_stays_where_memory_was_given_back() -> None:
    before = process_bytes("VmRSS")
    with mmap.mmap(-1, 2**26) as held:
        held[:] = b"x" * 2**26
        touched = process_bytes("VmRSS")
        assert touched - before > 2**26 - NOISE
    assert process_bytes("VmRSS") < touched - 2**26 + NOISE
    assert process_bytes("VmHWM") > touched - NOISE
