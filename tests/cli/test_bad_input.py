"""What is wrong is said in one line before anything is written: issue 2, point 10."""

import os
import shutil

import pytest
import tiny_data


@pytest.fixture
def bad(run, teacher, data, tmp_path):
    """Compress with one thing wrong; the message, after checking that nothing was written."""
    place = tmp_path / "data"
    shutil.copytree(data, place)

    def call(*options, model=teacher, source=place, out=tmp_path / "out"):
        kept = sorted(out.rglob("*")) if out.exists() else None
        code, shown, said = run("compress", model, source, "--out", out, *options)
        assert (code, shown) == (2, ""), said
        assert "Traceback" not in said
        assert len(said.strip().splitlines()) == 1, said
        assert (sorted(out.rglob("*")) if out.exists() else None) == kept
        return said

    call.data = place
    return call


def _append(file, text):
    file.write_text(file.read_text() + text)


def test_a_missing_file(bad):
    assert "nowhere.tsv: no such file or folder" in bad(source="./nowhere.tsv")


def test_a_folder_without_training_data(bad, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no train.tsv" in bad(source=tmp_path / "empty")


def test_a_device_that_is_not_here(bad):
    assert "device: 'gpu' is not on this machine, which has" in bad("--device", "gpu")


def test_an_unknown_bundled_set(bad):
    assert "there is bundled:intents" in bad(source="bundled:poems")


def test_a_wrong_column_names_the_nearest(bad):
    said = bad("--label", "lable")
    assert "there is no such column (did you mean 'label'?)" in said


def test_an_unknown_label_in_dev(bad):
    _append(bad.data / "dev.tsv", "the fox\tanimals\n")
    said = bad()
    assert "dev.tsv:18: label 'animals' is not among the training labels" in said
    assert "did you mean 'animal'?" in said


def test_an_empty_text(bad):
    _append(bad.data / "test.tsv", " \tanimal\n")
    assert "test.tsv:18: text is empty" in bad()


def test_one_class_only(bad):
    (bad.data / "train.tsv").write_text("text\tlabel\na fox\tanimal\na dog\tanimal\n")
    assert "one class only ('animal')" in bad()


@pytest.mark.parametrize("score", ["nan", "inf", "much"])
def test_a_score_that_is_no_number(bad, tmp_path, score):
    source = tiny_data.write_data(tmp_path / "scores", "regression")
    _append(source / "dev.tsv", f"a fox\ta dog\t{score}\n")
    said = bad("--task", "regression", source=source)
    assert f"dev.tsv:18: score '{score}' is not a finite number" in said


def test_bytes_that_are_not_utf8(bad):
    (bad.data / "train.tsv").write_bytes("text\tlabel\ncafé\tanimal\n".encode("latin1"))
    said = bad()
    assert "train.tsv:2: byte 0xe9 is not UTF-8" in said
    assert "iconv" in said


def test_a_row_with_too_few_fields(bad):
    _append(bad.data / "train.tsv", "a fox without a label\n")
    assert "1 fields where the header has 2" in bad()


def test_a_folder_that_is_no_model(bad, data):
    assert "is not a model: it has no config.json" in bad(model=data)


def test_a_model_that_is_nowhere(bad, tmp_path):
    assert "there is no such folder" in bad(model=tmp_path / "nowhere")


def test_an_unknown_architecture_is_refused_with_the_known_ones(bad, teacher, tmp_path):
    folder = shutil.copytree(teacher, tmp_path / "strange")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"model_type": "bert"', '"model_type": "mamba"'))
    said = bad(model=folder)
    assert "architecture 'mamba' is not known to leanformer; known are bert" in said


def test_corrupt_safetensors(bad, teacher, tmp_path):
    folder = shutil.copytree(teacher, tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors is damaged" in bad(model=folder)


def test_a_pickle_is_refused(bad, teacher, tmp_path):
    folder = shutil.copytree(teacher, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    said = bad(model=folder)
    assert "pickled weights only (pytorch_model.bin)" in said
    assert "save_pretrained" in said


def test_an_output_folder_that_is_taken(bad, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("precious")
    assert "exists and is not empty; name another folder with --out" in bad(out=taken)


def test_an_output_that_is_a_file(bad, tmp_path):
    (tmp_path / "file").write_text("precious")
    assert "is a file; name a folder with --out" in bad(out=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


def test_no_space(bad, monkeypatch):
    full = shutil._ntuple_diskusage(10**9, 10**9 - 4096, 4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    said = bad()
    assert "1024 MiB are needed, 0 MiB are free" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "1.5"], "keep: 1.5 is not above 0 and at most 1"),
        (["--keep", "0"], "keep: 0.0 is not above 0 and at most 1"),
        (["--minutes", "0"], "minutes: 0.0 is not above 0"),
        (["--max-length", "4"], "max_length: 4 is not between 8"),
        (
            ["--task", "classify"],
            "kind: 'classify' is not one of causal-lm, classification, embedding",
        ),
        (["--limit", "0"], "limit: 0 is not at least 1"),
        (["--metric", "recall"], "metric: 'recall' is not a metric of classification; there are:"),
        (["--metric", "f1:nobody"], "metric: f1:nobody: there is no label 'nobody'"),
        (["--unlabelled", "nowhere.txt"], "nowhere.txt: no such file"),
        (["--seed", "-1"], "seed: -1"),
        (["--threads", "-1"], "threads: -1"),
        (["--min-count", "0"], "min_count: 0"),
        (["--teacher-epochs", "0"], "teacher_epochs: 0"),
        (["--student-epochs", "-2"], "student_epochs: -2"),
    ],
)
def test_an_option_out_of_its_range(bad, options, message):
    assert message in bad(*options)


def test_a_text_longer_than_the_model_is_cut_and_counted(data, teacher, tmp_path):
    """Long texts are no error: the proof of the training step says how many were cut."""
    from leanformer.data import Source, encode_examples
    from leanformer.models.io.load import load_model

    place = shutil.copytree(data, tmp_path / "long")
    _append(place / "train.tsv", f"{'fox ' * 400}\tanimal\n")
    _, tokenizer = load_model(teacher, "classification")
    train = Source(path=str(place)).read().train
    encoded = encode_examples(train, tokenizer, "classification", 512)
    assert encoded.truncated == 1
    assert max(encoded.length(index) for index in range(len(encoded))) <= 64


def test_an_interrupted_write_leaves_no_half_file(tmp_path, monkeypatch):
    import os

    from leanformer.core.storage.files import write_text

    path = tmp_path / "record.json"
    write_text(path, "old")

    def fail(*_):
        raise OSError("killed")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="killed"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--minutes", "nan"), "minutes: nan is not a finite number"),
        (("--keep", "0"), "keep: 0.0 is not above 0 and at most 1"),
        (("--limit", "0"), "data.limit: 0 is not at least 1"),
        (("--threads", 10**6), "threads: 1000000 is not between 0 and 1,024"),
        (("--max-length", 7), "max_length: 7 is not between 8 and"),
        (("--student-epochs", "inf"), "student_epochs: inf is not a finite number"),
        (("--seed", -1), "seed: -1 is not at least 0"),
    ],
)
def test_a_number_out_of_its_range(bad, options, message):
    assert message in bad(*options)


@pytest.mark.parametrize("command", ["measure", "predict"])
@pytest.mark.parametrize("threads", [0, -1, 10**6])
def test_threads_that_cannot_be_started(run, served, tmp_path, command, threads):
    (tmp_path / "texts.txt").write_text("a fox\n")
    code, shown, said = run(command, served, "--in", tmp_path / "texts.txt", "--threads", threads)
    assert (code, shown) == (2, "")
    assert f"--threads: {threads} is not" in said


def test_what_looks_like_markup_is_shown_as_it_is(run):
    code, _, said = run("compress", "m", "d", "--no[/b]")
    assert code == 2
    assert "[/b]" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(bad, teacher, tmp_path, name):
    model = tmp_path / "model"
    shutil.copytree(teacher, model)
    (model / name).unlink()
    os.mkfifo(model / name)
    assert name in bad(model=model)


def test_a_recipe_that_is_a_pipe_or_too_large_is_refused(run, tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(2**40)
    for name, message in (("pipe", "no such recipe"), ("large", "bytes are not a recipe")):
        code, _, said = run("run", tmp_path / f"{name}.toml")
        assert code == 2
        assert message in said
