from dataclasses import replace
from pathlib import Path

from search.toy import dataset_of

import leanformer
from leanformer.core.record import Record, read
from leanformer.data import Examples, Source
from leanformer.search.describe import describe
from leanformer.search.request import Request

ASKED = Request(model="teacher", data=Source(path="toy"), keep=0.97, minutes=5.0, seed=4)


def test_the_first_line_says_what_is_asked_of_what(tmp_path: Path) -> None:
    dataset = replace(dataset_of("classification"), unlabelled=Examples(texts=["a", "b"]))
    record = Record(tmp_path / "record.jsonl")
    describe(record, dataset, ASKED, "leanformer compress teacher toy")
    (event,) = read(record.path)
    assert event["event"] == "run"
    assert event["version"] == leanformer.__version__
    assert event["task"] == {"kind": "classification", "labels": ["music", "rice"]}
    assert event["data"] == {"name": "toy", "train": 16, "dev": 16, "test": 16, "unlabelled": 2}
    assert (event["keep"], event["minutes"], event["seed"]) == (0.97, 5.0, 4)
    assert {"cpu", "cores", "threads", "torch"} <= set(event["environment"])


def test_a_resumed_search_is_described_once(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    for command in ("first", "second"):
        describe(record, dataset_of("embedding"), ASKED, command)
    (event,) = read(record.path)
    assert event["command"] == "first"
    assert event["data"]["unlabelled"] == 0
