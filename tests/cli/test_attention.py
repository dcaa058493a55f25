import json

from transformers import AutoModelForSequenceClassification

from leanformer.models.tiny import tiny_model


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
    assert len(timed) == 4 * 2 + 2  # dense and a window four times, Linformer in two directions
    assert timed[1]["mechanism"]["use"] == "sliding-window"
    before = record.read_text()
    assert run(*words, "--only", "sliding-window")[0] == 0
    assert record.read_text() == before


def test_bench_refuses_names_it_does_not_know(run, tmp_path):
    code, _, said = run("attention", "bench", "--only", "magic", "--out", tmp_path / "a.jsonl")
    assert code == 2
    assert "--only magic: there are" in said
    assert "sliding-window" in said


def test_advise_answers_from_the_record(run, tmp_path):
    record = tmp_path / "attention.jsonl"
    window = {"use": "sliding-window"}
    rows = [("sliding-window", window, 512, 2.0), ("sliding-window", window, 4096, 0.25)]
    with record.open("w") as file:
        for name, mechanism, length, ratio in rows:
            work = {"length": length, "causal": False, "backward": False}
            said = {"name": name, "mechanism": mechanism, "work": work, "ratio": {"value": ratio}}
            file.write(json.dumps({"event": "attention", **said}) + "\n")
    code, shown, _ = run("attention", "advise", "--length", "4096", "--record", record)
    assert code == 0
    assert "sliding-window: 4.0 times as fast as dense attention here" in shown
    code, shown, _ = run("attention", "advise", "--length", "600", "--record", record)
    assert "keep dense attention" in shown
    assert "faster from" in shown
    code, _, said = run("attention", "advise", "--length", "600", "--record", tmp_path / "none")
    assert (code, "run leanformer attention bench first" in said) == (2, True)


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
