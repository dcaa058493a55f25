"""What is done about a worker that ended; whole servers of several are in test_running.py."""

import time
from types import SimpleNamespace

import pytest

from leanformer.serve import workers
from leanformer.serve.settings import Settings


def dead(code, age=0.0, deaths=0):
    process = SimpleNamespace(exitcode=code, pid=1)
    return workers._Worker(process, time.monotonic() - age, deaths)


def test_one_that_cannot_open_the_folder_ends_them_all():
    with pytest.raises(ValueError, match="a worker could not open the folder"):
        workers._again(dead(3), lambda deaths: deaths, [])


@pytest.mark.parametrize(("age", "deaths"), [(0, 2), (1000, 0)])
def test_another_is_replaced_after_a_pause_if_it_died_young(caplog, age, deaths):
    assert workers._again(dead(-9, age, 1), lambda number: number, [15]) == deaths
    assert "worker 1 ended (-9); another starts" in caplog.text


def test_a_worker_tells_why_it_cannot_open_its_folder(tmp_path, caplog):
    with pytest.raises(SystemExit) as ended:
        workers.work(tmp_path, Settings(), None, (), 1)
    assert ended.value.code == 3
    assert "has neither leanformer.json nor search.json" in caplog.text
