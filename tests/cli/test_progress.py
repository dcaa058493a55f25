"""What the terminal shows while a run works."""

import pytest

from leanformer.cli.progress import Watcher


@pytest.mark.parametrize("name", ["search", "student"])
@pytest.mark.parametrize("label", ["[/b]", "x[red]y", ":smile:"])
def test_labels_with_brackets_are_shown_as_they_are(
    name: str, label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Watcher()(name, f"the commonest class, {label!r}")
    assert f"the commonest class, {label!r}" in capsys.readouterr().err
