"""The benchmark of sentence vectors: it runs on data in miniature, and its page says the bars."""

import gzip
import importlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_data

from leanformer.core.record import Record, read

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that imports a script of `benchmarks/`."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def write_table(place: Path, columns: str, rows: int, last: Any) -> None:
    chance = random.Random(str(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    words = ["the", "quick", "fox", "my", "card", "dog", "people", "back", "lazy"]
    lines = [columns]
    for row in range(rows):
        texts = [" ".join(chance.choices(words, k=5)) for _ in columns.split("\t")[:-1]]
        lines.append("\t".join([*texts, str(last(row))]))
    with gzip.open(place.with_name(f"{place.name}.tsv.gz"), "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def write_collections(folder: Path) -> None:
    cranfield, xquad = folder / "retrieval" / "cranfield", folder / "qa" / "xquad_en"
    paragraph = {"context": "the lazy dog", "qas": [{"id": "a", "question": "who ?"}]}
    texts = {
        cranfield / "cran.all.1400.gz": ".I 1\n.W\nthe quick fox\n",
        cranfield / "cran.qry.gz": ".I 001\n.W\nwho ?\n",
        cranfield / "cranqrel.gz": "1 1 1\n",
        folder / "lm" / "wikitext2" / "valid.txt.gz": " = A = \n The fox is quick and red . \n",
        folder / "lm" / "wikitext2" / "test.txt.gz": " The dog is lazy and brown . \n",
        xquad / "xquad.en.json.gz": json.dumps({"data": [{"paragraphs": [paragraph]}]}),
    }
    for place, text in texts.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(place, "wt", encoding="utf-8") as file:
            file.write(text)


def test_it_runs(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "dev", "test"):
        columns = "sentence1\tsentence2\tscore"
        write_table(tmp_path / "glue" / "stsb" / split, columns, 40, lambda row: row % 5 + 0.5)
    for split in ("dev", "test"):
        columns = "premise\thypothesis\tlabel"
        write_table(tmp_path / "nli" / "snli" / split, columns, 40, lambda row: row % 3)
    write_table(tmp_path / "topic" / "ag_news" / "train10k", "text\tlabel", 40, lambda row: "World")
    write_collections(tmp_path)
    model, tokenizer = tiny_data.tiny_model(
        "bert", head="embedding", num_hidden_layers=6, max_position_embeddings=160
    )
    tiny_data.save_model(model, tokenizer, tmp_path / "minilm")
    given = {
        "model": tmp_path / "minilm",
        "data": tmp_path,
        "runs": tmp_path / "runs",
        "measured": tmp_path / "bi-encoders.jsonl",
    }
    words = [word for name, path in given.items() for word in (f"--{name}", str(path))]
    for what in ("train", "measure", "page"):
        monkeypatch.setattr(sys, "argv", ["bi_encoders.py", what, "--tiny", *words])
        benchmark("bi_encoders").main()
    events = read(given["measured"])
    systems = [event["system"] for event in events]
    assert systems == list(benchmark("bi_encoders").SYSTEMS)
    assert events[3]["parameters"] < events[0]["parameters"]
    page = (tmp_path / "bi-encoders.md").read_text()
    assert page.count("| student, 4 layers") == 3


def test_the_page_says_whether_the_bar_is_met(benchmark: Any, tmp_path: Path) -> None:
    record = Record(tmp_path / "m.jsonl")
    proof = {"claim": "accuracy on dev", "after": 0.8}
    for system, test, proofs in (
        ("minilm", 0.82, []),
        ("minilm-snli", 0.8, [proof]),
        ("student", 0.81, []),
        ("student-snli", 0.7, [proof]),
    ):
        record.write(
            "bi-encoder",
            system=system,
            dev=0.9,
            test=test,
            parameters=2e6,
            proofs=proofs,
            seconds=60,
            environment={"cpu": "here"},
        )
    found = benchmark("bi_encoders_page").page(tmp_path / "m.jsonl")
    assert "| MiniLM (2.0M) | no further training | 0.9000 | 0.8200 | – | – | 1.0 |" in found
    assert "| 0.8100 | 98.8% | – |" in found
    assert "| 0.7000 | 87.5% **missed** | 80.0% |" in found
