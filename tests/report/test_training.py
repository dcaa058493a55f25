import json
from pathlib import Path
from typing import Any

import pytest

from leanformer.report.training import charts, latest, sentence, tiles, write_training_page

ABOUT: dict[str, Any] = {
    "event": "pretraining",
    "time": "2026-11-29T23:45:21+00:00",
    "name": "a </script> run",
    "kind": "causal-lm",
    "command": "leanformer train --texts corpus.txt",
    "settings": {"train": {"steps": 8}, "model": {"architecture": "gpt2"}},
    "architecture": "GPT2LMHeadModel",
    "parameters": 11_500_000,
    "documents": 1000,
    "held_out": 10,
    "epoch_tokens": 123_456,
    "packing": "packed",
    "max_length": 512,
    "ranks": 2,
    "flops_per_token": 7e7,
    "peak_flops": 5e10,
    "account": {"weights": 2**25, "gradients": 2**25, "optimizer": 2**26, "activations": 2**28}
    | {"temporary": 0},
    "environment": {"cpu": "A CPU", "threads": 1},
}


def step(number: int, **more: Any) -> dict[str, Any]:
    usual = {"steps": 8, "loss": 5 / number, "tokens_per_second": 100.0 * number, "mfu": 0.25}
    return {"event": "step", "step": number, "tokens": 1000 * number, **usual, **more}


def evaluation(number: int, loss: float, **more: Any) -> dict[str, Any]:
    found = {"loss": loss, "perplexity": 2.0, "accuracy": 0.5, "predicted": 7}
    return {"event": "evaluation", "step": number, "tokens": 1000 * number, **found, **more}


def sampled(number: int, text: str) -> dict[str, Any]:
    return {"event": "samples", "step": number, "samples": [{"prompt": "Once <b>", "text": text}]}


EVENTS = [
    ABOUT,
    *(step(number, memory=2**30) for number in (2, 4, 6, 8)),
    evaluation(4, 3.0, word_perplexity=30.0, bits_per_byte=1.5),
    sampled(4, " window.hacked = 1"),
    evaluation(8, 2.5, word_perplexity=20.0, bits_per_byte=1.25),
    {"event": "finished", "step": 8, "evaluation": {}, "samples": sampled(8, " upon")["samples"]},
]


def record(folder: Path, events: list[dict[str, Any]]) -> Path:
    path = folder / "events.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    return path


def test_a_page_has_the_curves_the_evaluations_the_settings_and_the_last_samples(
    tmp_path: Path,
) -> None:
    page = write_training_page(record(tmp_path, EVENTS)).read_text()
    for key in ("loss", "speed", "memory", "account"):
        assert f'data-chart="{key}"' in page
    assert "GPT2LMHeadModel of 11.5 M parameters has read 8,000 tokens in 8 of 8 steps" in page
    assert "held-out perplexity 2 per token" in page
    assert "<strong>Once &lt;b&gt;</strong> upon" in page
    assert "window.hacked" not in page
    assert "train.steps" in page
    assert "2 ranks on A CPU, 1 threads" in page
    assert "a &lt;/script&gt; run" in page


def test_a_run_that_has_just_begun_has_a_page_too(tmp_path: Path) -> None:
    page = write_training_page(record(tmp_path, [ABOUT]), tmp_path / "other.html").read_text()
    assert "no step is done yet" in page
    assert page.split("<script>")[0].count("data-chart") == 1  # what will take the memory


def test_why_nothing_is_foreseen_is_said(tmp_path: Path) -> None:
    about = {**ABOUT, "account": None, "without": "swap-layers moves memory elsewhere"}
    page = write_training_page(record(tmp_path, [about])).read_text()
    assert "It was not predicted: swap-layers moves memory elsewhere" in page
    assert 'data-chart="account"' not in page


def test_a_record_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it holds no pre-training; `leanformer train` writes one"):
        write_training_page(record(tmp_path, [{"event": "run"}]))


def test_the_last_line_of_each_step_counts() -> None:
    found = latest([step(4), step(2), step(4, loss=9.0), evaluation(4, 1.0)], "step")
    assert [(one["step"], one["loss"]) for one in found] == [(2, 2.5), (4, 9.0)]


def test_lines_run_over_tokens_and_long_ones_are_means() -> None:
    drawn = charts([step(number, memory=2**20 * number) for number in (1, 2)], [evaluation(2, 1.5)])
    loss = drawn["loss"]["data"]
    assert [(line["name"], line["x"], line["y"]) for line in loss] == [
        ("training", [1000, 2000], [5.0, 2.5]),
        ("held out", [2000], [1.5]),
    ]
    assert drawn["memory"]["data"][0]["y"] == [1.0, 2.0]
    long = charts([step(number, loss=1.0) for number in range(1, 1001)], [])["loss"]["data"][0]
    assert len(long["x"]) == 334
    assert set(long["y"]) == {1.0}
    assert long["x"][-1] == 1_000_000
    assert charts([], []) == {}


def test_the_sentence_and_the_tiles_say_what_is_known() -> None:
    steps = [step(2), step(4)]
    assert sentence(ABOUT, steps, [], None).endswith(
        "has so far read 4,000 tokens in 4 of 8 steps."
    )
    labels = [label for _, label in tiles(steps, [evaluation(4, 2.0)])]
    assert labels == [
        "held-out loss, nats per token",
        "hidden tokens found",
        "tokens per second, median",
        "MFU, median",
    ]
    small = sentence(ABOUT | {"parameters": 34_560}, [], [], None)
    assert "of 35 k parameters" in small
    wild = [evaluation(4, 2.0) | {"word_perplexity": 371_713.0, "bits_per_byte": 3.0}]
    assert ("4e5", "held-out perplexity per word") in tiles(steps, wild)
    assert tiles([step(2, mfu=None)], []) == [("200", "tokens per second, median")]
