import pytest

from leanformer.runtime.session import concurrency_of


@pytest.mark.parametrize(
    ("cores", "threads", "concurrency", "expected"),
    [
        (2, None, None, (2, 1)),
        (2, 1, None, (1, 2)),
        (2, 1, 3, (1, 3)),
        (64, 1, None, (1, 4)),
        (64, 32, None, (32, 2)),
        (2, 8, None, (8, 1)),
    ],
)
def test_cores_are_shared_out_among_calls(
    cores: int, threads: int | None, concurrency: int | None, expected: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert concurrency_of(threads, concurrency) == expected


def test_all_cores_count_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert concurrency_of(None, None) == (6, 1)
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert concurrency_of(None, None) == (1, 1)


def test_threads_and_calls_are_positive() -> None:
    with pytest.raises(ValueError, match="threads: 0 is not at least 1"):
        concurrency_of(0, None)
    with pytest.raises(ValueError, match="concurrency: -1 is not at least 1"):
        concurrency_of(None, -1)
