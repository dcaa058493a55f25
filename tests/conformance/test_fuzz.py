"""Whatever a recipe, a setting, a data file or a model folder holds: it works, or one line says why.

A message has one line of at most 400 characters (besides the paths in it) and comes as an error of
the user's; any other exception is a traceback for whoever meets it.
"""

import copy
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import leanformer.recipe
from leanformer.core.codec import decode, encode, override
from leanformer.core.technique import families
from leanformer.data import Source
from leanformer.data.inputs import read_texts
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.recipe import Recipe
from leanformer.train.setup import TrainSetup

LONGEST, SECONDS = 400, 60


def fuzz(examples: int) -> Callable[[Any], Any]:
    """The same examples on every machine."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def an_answer(*paths: Path) -> Iterator[None]:
    """Success, or an error of the user's in one line, in a minute."""

    def hung(*_: Any) -> None:
        pytest.fail(f"no answer after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(SECONDS)
    said = "fine"
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        said = str(error)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    for path in paths:
        said = said.replace(str(path), "")
    assert said.strip(), "the error says nothing"
    assert "\n" not in said.strip(), said
    assert len(said) <= LONGEST, said


ODD = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 2, 7, 10**6, 2**31, 2**63, -(2**70), 10**400, 1.5, -0.5, 1e300,
        float("nan"), float("inf"), "", "x", "none", "gelu", "../x", "/", "\ud800", "[/b]", "%s{}",
        "1e999", "x" * 3000, [], [1], ["a"], [[[[]]]], {}, {"a": 1}, {"use": 1}, {"use": "shrink"},
        {"use": ["x"]}, {"type": "x"},
    ]
)  # fmt: skip


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything within a JSON value; of a long list to its first five."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value[:5])
        if isinstance(value, list)
        else ()
    )
    return [here, *(place for key, item in inner for place in places(item, (*here, key)))]


@st.composite
def mutated(draw: Any, value: Any) -> Any:
    """`value` with one to three of its parts exchanged, removed or added."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        found = [place for place in places(value) if place]
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        holder = value
        for key in way:
            holder = holder[key]
        change = draw(st.integers(0, 9))
        if change < 2:
            del holder[last]
        elif change < 9 or isinstance(holder, list):
            holder[last] = copy.deepcopy(draw(ODD))
        else:
            holder[draw(st.sampled_from(["x", "", "use", "train", "quantization_config"]))] = draw(
                ODD
            )
    return value


def everything() -> dict[str, Any]:
    """A recipe with every step that can be made from nothing."""
    steps: list[Any] = [
        {"use": "finetune", "train": {"epochs": 2}},
        {"use": "shrink", "layers": [0, 2], "ffn": 0.5},
        {"use": "sparsify", "by": {"use": "finetune"}, "pattern": {"use": "n-of-m"}},
        {"use": "lottery", "by": {"use": "distill"}},
    ]
    for name, cls in families()["step"].items():
        if cls.__module__.startswith("leanformer.") and name not in (
            "sparsify",
            "lottery",
            "shrink",
        ):
            steps.append(json.loads(json.dumps(encode(cls()))))
    data = {"path": "bundled:intents", "limit": 8}
    train = encode(TrainSetup())
    return {"model": "m", "data": data, "steps": [*steps, {"use": "finetune", "train": train}]}


RECIPE = everything()


@fuzz(400)
@given(mutated(RECIPE))
def test_a_recipe(table: dict[str, Any]) -> None:
    with an_answer():
        decode(Recipe, table)


SETTINGS = st.builds(
    "{}{}{}".format,
    st.sampled_from(
        ["model", "steps[0].use", "steps[0]", "steps", "data.path", "steps[1].layers", "", "[0]", "x",
         "steps[99]", "model.x", "a.b.c", "steps[0].train", "data", "seed", "keep", "...", "steps.x",
         "data[0]", f"steps[{'9' * 30}]"]
    ) | st.text(max_size=8),
    st.sampled_from(["=", "=", "=", "", "=="]),
    st.sampled_from(
        ["1", "-1", "nan", "x", "[1]", "{a=1}", "", "'", "1e999", "9" * 30, "9" * 5000, "[" * 5000,
         "{ use = 'gptq' }", "true", "1\n2", "\x00", "\ud800", "2**3"]
    ) | st.text(max_size=8),
)  # fmt: skip


@fuzz(300)
@given(SETTINGS)
def test_a_setting(setting: str) -> None:
    table = copy.deepcopy(RECIPE)
    with an_answer():
        override(table, setting)
        decode(Recipe, table)


@fuzz(150)
@given(st.binary(max_size=60), st.integers(0, 60), st.booleans())
def test_a_recipe_s_file(tmp_path_factory: Any, some: bytes, place: int, deep: bool) -> None:
    whole = b'model = "m"\nseed = 1\n[data]\npath = "d"\n[[steps]]\nuse = "finetune"\n'
    file = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    file.write_bytes(whole[:place] + (b"[" * 50_000 if deep else some) + whole[place + len(some) :])
    with an_answer(file):
        leanformer.recipe.read(file)


CELLS = st.sampled_from(
    ["a fox", "", " ", "nan", "1", "0.5", "[a]", "[/red]", "\x00", "é", "\u2028", "x" * 5000, '"',
     "null", "1e400", "True", "a|b", "-1", "{", "text", "label"]
)  # fmt: skip
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=8)
RECORDS = st.lists(
    ODD | st.dictionaries(st.sampled_from(["text", "label", "pair", "words", "tags", "id"]), ODD),
    max_size=6,
)
HEADERS = st.sampled_from([[], ["text", "label"], ["text", "text"], ["text", "pair", "label"]])
KINDS = st.sampled_from([None, "classification", "multi-label", "regression", "ranking", "tokens",
                         "embedding", "masked-lm", "nothing"])  # fmt: skip


def separated(header: list[str], rows: list[list[str]], by: str) -> bytes:
    return "\n".join(by.join(row) for row in [header, *rows]).encode()


DATA = st.one_of(
    st.tuples(st.sampled_from([".tsv", ".csv", ".jsonl", ".conll", ".txt", ".tsv.gz", ".json", ".parquet"]), st.binary(max_size=80)),
    st.tuples(st.just(".tsv"), st.builds(separated, HEADERS, ROWS, st.just("\t"))),
    st.tuples(st.just(".csv"), st.builds(separated, HEADERS, ROWS, st.just(","))),
    st.tuples(st.just(".conll"), st.builds(separated, st.just(["a", "O"]), ROWS, st.just(" "))),
    st.tuples(st.just(".jsonl"), RECORDS.map(lambda rows: "\n".join(map(json.dumps, rows)).encode())),
    st.tuples(st.just(".json"), RECORDS.map(lambda rows: json.dumps(rows).encode())),
    st.tuples(st.sampled_from([".json", ".jsonl"]), st.just(b"[" * 100_000)),
    st.tuples(st.just(".csv"), st.builds(separated, HEADERS, ROWS, st.just(";"))),
)  # fmt: skip


@fuzz(300)
@given(DATA, KINDS)
def test_a_data_file(tmp_path_factory: Any, data: tuple[str, bytes], kind: str | None) -> None:
    suffix, content = data
    file = tmp_path_factory.getbasetemp() / f"fuzzed{suffix}"
    file.write_bytes(content)
    with an_answer(file):
        Source(path=str(file), kind=kind).read()
    with an_answer(file):
        read_texts(file)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("fuzzed")
    for family in ("bert", "modernbert", "roberta"):
        save_model(*tiny_model(family), place / family)
    return [place / family for family in ("bert", "modernbert", "roberta")]


def with_header(file: Path, change: Callable[[Any], Any]) -> None:
    """Exchange the header of a safetensors file."""
    raw = file.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.dumps(change(json.loads(raw[8 : 8 + length]))).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + raw[8 + length :])


@fuzz(120)
@given(st.data())
def test_a_model_folder(folders: list[Path], data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(folders))
    folder = whole.with_name("changed")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    tables = sorted(file.name for file in folder.glob("*.json"))
    name = data.draw(st.sampled_from(["config.json"] * 6 + tables + ["model.safetensors"]))
    file, damage = folder / name, data.draw(st.integers(0, 9))
    if damage == 0:
        file.write_bytes(file.read_bytes()[: data.draw(st.integers(0, 2000))])
    elif name == "model.safetensors":
        with_header(file, lambda header: data.draw(mutated(header)))
    else:
        file.write_text(json.dumps(data.draw(mutated(json.loads(file.read_text())))))
    with an_answer(folder), torch.no_grad():
        load_model(folder, data.draw(st.sampled_from(["classification", "embedding", "masked"])))
