import warnings

import pytest

from leanformer.core.machine.threads import check_threads, cores


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**6])
def test_what_cannot_be_started_is_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=f"--threads: {threads} is not "):
        check_threads(threads, "--threads")


def test_more_threads_than_cores_are_warned_about() -> None:
    with pytest.warns(UserWarning, match=f"{cores() + 1} threads share {cores()} cores"):
        check_threads(cores() + 1)


def test_as_many_as_there_are_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_threads(cores())
        check_threads(None)
