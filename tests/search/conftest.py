"""Finished searches, each made once for all tests of the main job."""

from collections.abc import Callable, Iterator

import pytest
from search.whole import Search, quick, searched


@pytest.fixture
def short() -> Iterator[None]:
    """No clock, no subprocess, no ONNX."""
    with quick():
        yield


@pytest.fixture(scope="session")
def search(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Search]:
    """The finished search of a kind of task."""
    made: dict[str, Search] = {}

    def get(kind: str) -> Search:
        if kind not in made:
            made[kind] = searched(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return get
