"""A folder is of one piece of work: what it begins with is refused by name, the rest is told."""

from pathlib import Path
from typing import Any

import pytest

from leanformer.core.identity.claim import changes, keep

CONTENT: dict[str, Any] = {"begins": {"seed": 1, "data": "blake2b:1"}, "steps": [{"layers": 3}]}


def test_a_new_folder_holds_none_and_a_kept_one_the_same(tmp_path: Path) -> None:
    kept = tmp_path / "recipe.json"
    assert changes(kept, CONTENT, {}) is None
    keep(kept, {"model": "here"}, CONTENT)
    assert changes(kept, CONTENT, {}) == []


def test_what_may_change_is_told_and_what_it_begins_with_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "recipe.json"
    keep(kept, {}, CONTENT)
    assert changes(kept, CONTENT | {"steps": [{"layers": 2}]}, {}) == ["steps[0].layers (3 → 2)"]
    other = CONTENT | {"begins": {"seed": 2, "data": "blake2b:2"}, "steps": []}
    with pytest.raises(
        ValueError, match=r"other work, which differs in the texts, seed \(1 → 2\);"
    ):
        changes(kept, other, {"data": "the texts"})


@pytest.mark.parametrize("text", ["{}", '{"content": []}', '{"content": {"begins": 1}}'])
def test_a_file_that_does_not_say_what_it_is_of_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match=r"recipe.json does not say what the work in this folder"):
        changes(tmp_path / "recipe.json", CONTENT, {})
