import os
import subprocess
import sys
import threading
import time

from leanformer.runtime.per_process import PerProcess


def test_it_is_opened_once_whoever_asks():
    made = []
    one = PerProcess(lambda: made.append(1) or object())
    found = []
    threads = [threading.Thread(target=lambda: found.append(one.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len({id(value) for value in found}) == 1


def test_a_forked_process_opens_its_own_once_though_a_lock_was_held():
    one = PerProcess(lambda: [os.getpid()])
    before = one.get()
    held = threading.Lock()

    def hold():
        with one._lock, held:
            time.sleep(1)

    thread = threading.Thread(target=hold)
    thread.start()
    while not held.locked():
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        found = []
        threads = [threading.Thread(target=lambda: found.append(one.get())) for _ in range(4)]
        for other in threads:
            other.start()
        for other in threads:
            other.join(20)
        right = [value[0] for value in found] == [os.getpid()] * 4
        os._exit(0 if right and len({id(value) for value in found}) == 1 else 3)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    assert one.get() is before


def test_only_a_process_that_was_forked_with_torch_computes_with_one_thread():
    """What counts is the moment of the fork, not that of an import."""
    code = (
        "import os, sys\n"
        "from leanformer.runtime.per_process import forked_with_torch\n"
        "def child():\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os._exit(int(forked_with_torch()))\n"
        "    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "before = child()\n"
        "import torch\n"
        "print(before, forked_with_torch(), child())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert ended.stdout == "0 False 1\n", ended.stderr
