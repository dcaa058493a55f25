import mmap
import resource

from leanformer.core.process_memory import process_bytes


def test_the_mark_is_that_of_the_kernel() -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert abs(process_bytes("VmHWM") - peak) < 2**22


def test_memory_that_is_touched_is_held() -> None:
    before = process_bytes("VmRSS")
    with mmap.mmap(-1, 2**26) as held:
        held[:] = b"x" * 2**26
        assert process_bytes("VmRSS") - before > 2**25
        assert process_bytes("VmHWM") >= process_bytes("VmRSS") - 2**22
