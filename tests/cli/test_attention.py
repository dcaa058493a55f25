import json
from functools import partial

import pytest
from transformers import AutoModelForSequenceClassification

from leanformer.attention.bench import measure as bench
from leanformer.attention.bench.measure import here
from leanformer.attention.bench.picture import picture
from leanformer.attention.presets import longformer
from leanformer.core.codec import encode
from leanformer.models.tiny import tiny_model


@pytest.fixture
def short(monkeypatch):
    """Peak memory takes a process for each measurement, and pictures are of 1,024 tokens; both have
    tests in `tests/attention/bench`."""
    monkeypatch.setattr(bench, "peak_bytes", lambda mechanism, work: 2**20)
    small = partial(picture, length=128)
    monkeypatch.setattr("leanformer.attention.bench.picture.picture", small)


@pytest.mark.usefixtures("short")
def test_bench_measures_draws_and_goes_on(run, tmp_path):
    record = tmp_path / "attention.jsonl"
    words = ["attention", "bench", "--lengths", "64", "--rounds", "1", "--out", record]
    code, shown, said = run(*words, "--only", "sliding-window", "--only", "linformer")
    assert code == 0, said
    assert "64 tokens, causal training" in shown
    assert record.with_suffix(".html").is_file()
    events = [json.loads(line) for line in record.read_text().splitlines()]
    assert [e["name"] for e in events if e["event"] == "picture"] == ["sliding-window", "linformer"]
    timed = [e for e in events if e["event"] == "attention"]
    # dense and a window in four kinds of work, Linformer in two, each without and with padding
    assert len(timed) == 2 * (4 * 2 + 2)
    assert sorted({e["work"]["padded"] for e in timed}) == [0.0, 0.25]
    assert "64 tokens, causal training, 25% padding" in shown
    page = record.with_suffix(".html").read_text()
    assert "cpu bidirectional inference with 25% padding" in page
    assert "taken without padding" not in page
    assert timed[1]["mechanism"]["use"] == "sliding-window"
    before = record.read_text()
    assert run(*words, "--only", "sliding-window")[0] == 0
    assert record.read_text() == before


def test_bench_refuses_names_it_does_not_know(run, tmp_path):
    code, _, said = run("attention", "bench", "--only", "magic", "--out", tmp_path / "a.jsonl")
    assert code == 2
    assert "--only magic: there are" in said
    assert "sliding-window" in said


@pytest.mark.usefixtures("short")
def test_bench_measures_again_what_another_machine_measured(run, tmp_path):
    record = tmp_path / "attention.jsonl"
    words = ["attention", "bench", "--lengths", "32", "--rounds", "1", "--out", record]
    words += ["--only", "linear"]
    assert run(*words)[0] == 0
    before = [json.loads(line) for line in record.read_text().splitlines()]
    for event in before:
        del event["crc32"]  # as a record of an earlier version
        if event["event"] == "attention":
            event["environment"]["cpu"] = "another CPU"
    record.write_text("".join(json.dumps(event) + "\n" for event in before))
    code, _, said = run(*words)
    assert code == 0, said
    after = [json.loads(line) for line in record.read_text().splitlines()]
    assert len(after) - len(before) == 8 * 2  # pictures are the same everywhere
    page = record.with_suffix(".html").read_text()
    assert "another CPU" in page
    code, shown, _ = run("attention", "advise", "--length", "32", "--record", record)
    assert code == 0
    assert "left out: 16 measurements on cpu of another CPU" in shown


def recorded(path, *rows, **others):
    """A record of this machine: names, mechanisms, lengths and ratios."""
    with path.open("w") as file:
        for name, mechanism, length, ratio in rows:
            work = {"length": length, "causal": False, "backward": False, **others}
            said = {"name": name, "mechanism": mechanism, "work": work, "ratio": {"value": ratio}}
            said["environment"] = here("cpu")
            file.write(json.dumps({"event": "attention", **said}) + "\n")
    return path


def test_advise_answers_from_the_record(run, tmp_path):
    union, linear = encode(longformer()), {"use": "linear"}
    rows = [("longformer", union, 512, 2.0), ("longformer", union, 4096, 0.25)]
    rows += [("linear", linear, 512, 0.2), ("linear", linear, 4096, 0.05)]
    record = recorded(tmp_path / "attention.jsonl", *rows)
    code, shown, _ = run("attention", "advise", "--length", "4096", "--record", record)
    assert code == 0
    first, second, verdict, reason = shown.splitlines()
    assert first.startswith("linear")
    assert "loses quality and must be trained with it" in first
    assert "75.3% at once where dense has 86.7%" in first
    assert second.startswith("longformer")
    assert verdict == "longformer: 4.0 times as fast as dense attention here"
    assert "keeps its quality (MiniLM-L6 on IMDB's long reviews" in reason
    code, shown, _ = run("attention", "advise", "--length", "600", "--record", record)
    assert "keep dense attention: no mechanism below 0.9x of its time is known to keep" in shown
    assert "without training" in shown
    assert "faster from" in shown
    code, _, said = run("attention", "advise", "--length", "600", "--record", tmp_path / "none")
    assert (code, "run leanformer attention bench first" in said) == (2, True)
    code, _, said = run("attention", "advise", "--length", "600", "--padded", "--record", record)
    assert (code, "nothing was measured of bidirectional inference with pad" in said) == (2, True)


def test_advise_for_training_may_take_what_must_be_trained(run, tmp_path):
    linear, lsh = {"use": "linear"}, {"use": "lsh"}
    record = recorded(
        tmp_path / "attention.jsonl",
        ("linear", linear, 512, 0.2),
        ("lsh", lsh, 512, 0.1),
        backward=True,
    )
    words = ["attention", "advise", "--length", "512", "--record", record, "--train"]
    code, shown, _ = run(*words)
    assert code == 0
    assert "linear: 5.0 times as fast" in shown
    assert "does little better than guess" in shown
    recorded(record, ("lsh", lsh, 512, 0.1), backward=True)
    assert "or can be trained to regain it" in run(*words)[1]


def test_advise_refuses_a_record_of_another_machine(run, tmp_path):
    record = recorded(tmp_path / "attention.jsonl", ("linear", {"use": "linear"}, 512, 0.2))
    record.write_text(record.read_text().replace('"cores": ', '"cores": 9'))
    code, _, said = run("attention", "advise", "--length", "512", "--record", record)
    assert code == 2
    assert "the record was measured elsewhere (cpu of" in said
    assert "run leanformer attention bench here" in said


def test_attend_writes_a_folder_that_loads(run, tmp_path):
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    out = tmp_path / "out"
    words = ["attend", tmp_path / "model", "--out", out, "--length", "32"]
    code, shown, said = run(*words, "--with", '{ use = "sliding-window", left = 2, right = 2 }')
    assert code == 0, said
    assert "layers that attend by it: 3 of 3" in shown
    assert "ms dense" in shown
    assert "quality: what a trained model loses was not measured" in shown
    assert "judge the model on texts of yours" in shown
    loaded = AutoModelForSequenceClassification.from_pretrained(out)
    cores = [name for name, _ in loaded.named_modules() if name.endswith("efficient_attention")]
    assert len(cores) == 3
    code, _, said = run(*words, "--with", "longformer")
    assert code == 2  # the folder is there
    assert str(out) in said
    code, _, said = run(*words[:-2], "--with", "longfarmer", "--length", "9")
    assert code == 2


def test_attend_names_the_nearest_mechanism(run, tmp_path):
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    code, _, said = run("attend", tmp_path / "model", "--with", "rooting", "--out", tmp_path / "o")
    assert code == 2
    assert "did you mean 'routing'?" in said
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("mechanism", "said"),
    [
        ("linear", ["75.3% at once where dense has 86.7%", "train the model with it before"]),
        ('{ use = "linear" }', ["75.3% at once where dense has 86.7%"]),
        ("lsh", ["little better than guess", "train the model with it before"]),
        ("performer-relu", ["must be trained with it (how much was not measured)"]),
        ("longformer", ["a trained model keeps its quality", "windows of 256"]),
        ("linformer", ["new parameters", "train the model before it is used"]),
    ],
)
def test_attend_says_what_the_exchange_costs_a_trained_model(run, tmp_path, mechanism, said):
    model, tokenizer = tiny_model("bert")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    words = ["attend", tmp_path / "model", "--out", tmp_path / "out", "--length", "16"]
    code, shown, error = run(*words, "--with", mechanism)
    assert code == 0, error
    for one in said:
        assert one in shown
    assert ("train the model" in shown) == (mechanism != "longformer")
