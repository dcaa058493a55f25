import pytest

from leanformer.core.ranks import follows, is_rank


@pytest.mark.parametrize(
    ("rank", "count", "among_others", "following"),
    [
        (None, None, False, False),
        ("0", "1", False, False),
        ("0", "2", True, False),
        ("1", "2", True, True),
    ],
)
def test_the_first_of_several_processes_leads(
    monkeypatch: pytest.MonkeyPatch,
    rank: str | None,
    count: str | None,
    among_others: bool,
    following: bool,
) -> None:
    for name, value in (("RANK", rank), ("WORLD_SIZE", count)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert is_rank() is among_others
    assert follows() is following
