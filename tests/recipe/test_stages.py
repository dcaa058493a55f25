import json
from pathlib import Path

from killed_writers import kills

from leanformer.recipe import stages


def test_a_kill_while_a_step_begins_is_no_damage(tmp_path: Path) -> None:
    """The folder of a step may be there without its key, which was being written."""

    def take(place: Path) -> None:
        stages.take(place / "00-shrink", "abc")

    for place in kills(tmp_path, take, lambda place: None):
        take(place)
        kept = {file.name: json.loads(file.read_text()) for file in (place / "00-shrink").iterdir()}
        assert kept == {"step.json": {"key": "abc"}}
        assert [path.name for path in place.iterdir()] == ["00-shrink"]
