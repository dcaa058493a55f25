import pytest


@pytest.fixture(autouse=True, scope="module")
def _own(unlisted: None) -> None:
    """These tests edit what was saved, as folders of users' own are made."""
