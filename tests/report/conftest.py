import pytest
from report import rivals_sample, sample


@pytest.fixture
def record(tmp_path):
    """A function that writes a record of the samples by name ("full", "missed", "rivals", …)."""

    def written(name, tail=""):
        made = getattr(sample, name, None) or getattr(rivals_sample, name)
        return sample.write(tmp_path / f"{name}.jsonl", made(), tail)

    return written
