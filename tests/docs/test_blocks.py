"""Every code block of the pages is run (python), read (toml) or parsed (bash)."""

import re
import shlex
import textwrap
import tomllib
from pathlib import Path

import pytest
import typer.main

from leanformer.cli import app
from leanformer.core.codec import decode, override
from leanformer.pretrain import Pretraining
from leanformer.recipe import Recipe

_ROOT = Path(__file__).parents[2]
_PAGES = sorted([*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_KNOWN = {"python", "toml", "bash", "text"}
_PLAIN = ("make", "pip", "cd", "python", "torchrun")


def _blocks(page: Path, language: str) -> list[str]:
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [textwrap.dedent(body) for _, name, body in found if name == language]


def _with(language: str) -> list[Path]:
    return [page for page in _PAGES if _blocks(page, language)]


def _id(page: Path) -> str:
    return str(page.relative_to(_ROOT))


def test_the_pages_are_found():
    names = {_id(page) for page in _PAGES}
    assert {"README.md", "CONTRIBUTING.md", "docs/guides/compress.md"} <= names


@pytest.mark.parametrize("page", _PAGES, ids=_id)
def test_every_block_has_a_language_that_is_tested(page):
    languages = {name for _, name, _ in _BLOCK.findall(page.read_text(encoding="utf-8"))}
    assert languages <= _KNOWN


@pytest.mark.parametrize("page", _with("python"), ids=_id)
def test_python_blocks_run_in_order(page, desk, monkeypatch):
    monkeypatch.chdir(desk)
    names: dict = {"__name__": "page"}
    for number, block in enumerate(_blocks(page, "python"), 1):
        # Techniques read their own source; a class of a page has none, and needs none to work.
        exec(compile(block, f"{_id(page)} block {number}", "exec"), names)


@pytest.mark.parametrize("page", _with("toml"), ids=_id)
def test_toml_blocks_are_recipes(page):
    for block in _blocks(page, "toml"):
        table = tomllib.loads(block)
        recipe = decode(_form(table), table)
        assert recipe.corpus if "corpus" in table else recipe.steps


def _form(table: dict) -> type:
    """Which kind of recipe a table is."""
    return Pretraining if "corpus" in table else Recipe


@pytest.mark.parametrize("page", _with("bash"), ids=_id)
def test_bash_blocks_are_commands_that_exist(page):
    for block in _blocks(page, "bash"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "leanformer":
                _parse(words[1:])
            elif words and words[0] == "make":
                assert re.search(rf"^{words[1]}:", (_ROOT / "Makefile").read_text(), re.MULTILINE)
            elif words:
                assert words[0] in _PLAIN, line


def _parse(words: list[str]) -> None:
    """Let the command's own parser read its words, without doing anything."""
    command = typer.main.get_command(app).commands[words[0]]
    context = command.make_context(words[0], words[1:])
    recipe = context.params.get("recipe")
    if recipe is not None:
        table = tomllib.loads((_ROOT / recipe).read_text())
        for setting in context.params["set_"] or ():
            override(table, setting)
        decode(_form(table), table)


def test_a_command_with_an_unknown_option_does_not_parse():
    with pytest.raises(Exception, match="No such option"):
        _parse(["compress", "model", "data", "--kepe", "0.9"])


def test_the_results_have_their_place():
    readme = (_ROOT / "README.md").read_text()
    assert readme.index("<!-- results:begin -->") < readme.index("<!-- results:end -->")


@pytest.mark.parametrize("page", _PAGES, ids=_id)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http", "mailto")):
            assert (page.parent / target).exists(), target
