import os
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
