import pytest
from report import sample


@pytest.fixture
def record(tmp_path):
    """A function that writes a record of `sample` by name ("full", "missed", …)."""
    return lambda name, tail="": sample.write(
        tmp_path / f"{name}.jsonl", getattr(sample, name)(), tail
    )
