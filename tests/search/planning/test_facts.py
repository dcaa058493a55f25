from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data
from search.toy import dataset_of

from leanformer.data import Dataset, Source
from leanformer.data.origin import Origin
from leanformer.prune.shrink import Shrink
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe
from leanformer.search.planning.facts import (
    counted,
    fact_of_device,
    facts_of_data,
    training_words,
    work_of_recipe,
    work_of_search,
)
from leanformer.search.request import Request
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.finetune import Finetune


def with_origin(kind: str = "classification", pairs: bool = False, **fields: Any) -> Dataset:
    origin = Origin(path="my/data.csv", files={"train": "data.csv"}, **fields)
    return replace(dataset_of(kind, pairs), origin=origin)


def test_where_the_data_are_from_and_what_is_read() -> None:
    found = with_origin(
        columns={"text": "question", "label": "intent"},
        unread=("id", "date"),
        split_off=("dev", "test"),
        left_out=1200,
    )
    facts = dict(facts_of_data(found))
    assert facts["Data"] == (
        "my/data.csv (data.csv)",
        "dev and test: 10 % of the rows each, split off train by a hash of the text",
        "1,200 training rows left out (limit)",
    )
    assert facts["Read"] == ("question as text, intent as label",)
    assert facts["Not read"] == ("id, date",)
    assert facts["Task"] == ("classification, told from the data: labels are names", "judged by accuracy")  # fmt: skip
    assert facts["Labels"] == ("2 labels",)


def test_what_was_asked_for_is_said_to_be() -> None:
    facts = dict(facts_of_data(with_origin("tokens", kind_asked=True, split_off=("dev",))))
    assert facts["Task"] == ("tokens, asked for", "judged by span_f1")
    assert facts["Data"][1] == "dev: 10 % of the rows, split off train by a hash of the text"
    assert (facts["Labels"], facts["Not read"]) == (("2 tags",), ("no other column",))
    pairs = dict(facts_of_data(with_origin("regression", pairs=True, split_off=("dev",))))
    assert pairs["Data"][1].endswith("by a hash of the text and pair")
    assert "Labels" not in pairs


def test_data_of_the_hub_and_data_that_nobody_read() -> None:
    found = replace(with_origin(), origin=Origin(path="owner/name"))
    assert dict(facts_of_data(found))["Data"] == ("owner/name (from the Hugging Face hub)",)
    assert dict(facts_of_data(dataset_of("regression"))) == {
        "Data": ("toy",), "Task": ("regression", "judged by spearman"),
    }  # fmt: skip


def test_queries_without_ids_are_told_by_their_text(tmp_path: Path) -> None:
    path = tiny_data.write_data(tmp_path / "data", "ranking")
    found = Source(path=str(path), kind="ranking").read()
    said = ("rows with the same text of the query belong together",)
    assert dict(facts_of_data(found))["Queries"] == said


@pytest.mark.parametrize(
    ("setup", "examples", "words"),
    [
        (TrainSetup(epochs=4), 1222, "4 epochs of 1,222 texts in batches of 32, 156 steps"),
        (TrainSetup(epochs=1), 5, "1 epoch of 5 texts in batches of 32, 1 step"),
        (TrainSetup(epochs=2.5, batch_size=8), None, "2.5 epochs in batches of 8"),
        (TrainSetup(steps=500), 9, "500 steps in batches of 32"),
        (TrainSetup(tokens=10_000), 9, "10,000 tokens in batches of 32"),
    ],
)
def test_how_long_a_training_is(setup: TrainSetup, examples: int | None, words: str) -> None:
    assert training_words(setup, examples) == words


def test_the_work_of_a_search(tmp_path: Path) -> None:
    model = str(tiny_data.write_encoder(tmp_path / "model"))
    request = Request(
        model=model, data=Source(path="toy"), minutes=7.5, student_epochs=2, keep=0.95
    )
    facts = dict(work_of_search(request, dataset_of("classification"), 3))
    assert facts["Teacher"] == (
        "fine-tuned first: 12 epochs of 16 texts in batches of 32, 12 steps",
    )
    assert facts["Students"] == (
        "up to 7, cut from the teacher: L2-h100-f100, L3-h50-f50, L2-h100-f50, L2-h50-f50, "
        "L1-h100-f50, L1-h50-f50, L1-h50-f25",
        "begun with L2-h50-f50; their order by time is measured on this machine",
        "each up to 2 epochs of 48 texts in batches of 64, 2 steps",
        "with altered copies of each text too: 2",
    )
    assert facts["Promise"] == (
        "at least 95 % of the teacher's accuracy is kept",
        "of all that keep it, the fastest is chosen",
    )
    assert facts["Time"] == (
        "7.5 minutes in all: a training that would end later is shortened or left out",
    )
    assert dict(work_of_search(request, dataset_of("embedding"), 3))["Teacher"] == ("as it is",)
    plain = replace(request, portable=True, goal="size", augment=0)
    facts = dict(work_of_search(plain, dataset_of("classification"), 3))
    assert facts["Students"][0].endswith("teacher: L2-h100-f100, L2-h100-f50, L1-h100-f50")
    assert facts["Students"][-1] == "only what transformers loads without leanformer"
    assert facts["Promise"][1] == "of all that keep it, the smallest is chosen"
    other = replace(request, student="small-encoder")
    assert "cut from small-encoder" in dict(work_of_search(other, dataset_of("classification"), 3))["Students"][0]  # fmt: skip


def test_the_work_of_a_recipe(tmp_path: Path) -> None:
    model = str(tiny_data.write_encoder(tmp_path / "model"))
    steps = (Finetune(train=TrainSetup(epochs=2)), Shrink(layers=1), Int8())
    recipe = Recipe(model=model, data=Source(path="toy"), steps=steps)
    facts = dict(work_of_recipe(recipe, dataset_of("classification")))
    assert facts["Steps"] == ("1. finetune: 2 epochs in batches of 32", "2. shrink", "3. int8")
    assert facts["Teacher"] == ("the model as it is after fine-tuning",)
    assert facts["Promise"] == ("at least 99 % of the teacher's accuracy is asked for",)
    bare = replace(recipe, steps=steps[1:], measure=False)
    facts = dict(work_of_recipe(bare, dataset_of("classification")))
    assert (facts["Teacher"], facts["Promise"]) == (("none",), ("nothing is measured (measure = false)",))  # fmt: skip
    assert dict(work_of_recipe(bare, dataset_of("embedding")))["Teacher"] == ("the model as it is",)
    with pytest.raises(OSError, match="there is no such folder"):
        work_of_recipe(replace(recipe, teacher="./nowhere"), dataset_of("classification"))


def test_the_device_and_its_threads() -> None:
    assert fact_of_device("cpu", 3) == ("Device", ("cpu, 3 threads",))
    assert fact_of_device("cpu", 0)[1][0].startswith("cpu, ")


def test_nouns_are_counted() -> None:
    assert [counted(number, "text") for number in (0, 1, 1222)] == ["0 texts", "1 text", "1,222 texts"]  # fmt: skip
