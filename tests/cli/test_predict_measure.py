import json
import re

import pytest
import tiny_data
from runtime.systems.cascades import TEXTS, cascade, halfway, ngrams, transformer

import leanformer
from leanformer.core.quantity import Quantity


@pytest.fixture
def some_texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("the lazy dog\nmy card was charged twice\n")
    return path


def test_predict_answers_each_text_in_its_order(run, served, some_texts):
    code, shown, said = run("predict", served, "--in", some_texts)
    assert code == 0, said
    answers = [json.loads(line) for line in shown.splitlines()]
    assert [answer["label"] for answer in answers] == ["animal", "money"]
    assert [answer["text"] for answer in answers] == ["the lazy dog", "my card was charged twice"]
    assert said == "2 answers, 0 errors\n"


def test_predict_answers_a_blank_line_with_an_error(run, served, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("the lazy dog\n\nmy card was charged twice\n")
    code, shown, said = run("predict", served, "--in", path)
    assert code == 0, said
    answers = [json.loads(line) for line in shown.splitlines()]
    assert [answer.get("label") for answer in answers] == ["animal", None, "money"]
    assert answers[1] == {"text": "", "error": "empty"}
    assert said == "2 answers, 1 errors\n"


def test_predict_refuses_a_row_that_cannot_be_read_or_answers_the_others(run, served, tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "the lazy dog"}\n{"txt": "the quick fox"}\n')
    code, shown, said = run("predict", served, "--in", path)
    assert (code, shown) == (2, "")
    assert "texts.jsonl:2: no column 'text'; --skip-errors answers the other rows" in said
    code, shown, said = run("predict", served, "--in", path, "--skip-errors")
    assert code == 0, said
    answers = [json.loads(line) for line in shown.splitlines()]
    assert answers[0]["label"] == "animal"
    assert answers[1] == {"text": "", "error": "no column 'text'"}


def test_predict_puts_an_id_beside_the_answer(run, served, tmp_path):
    path = tmp_path / "texts.tsv"
    path.write_text("key\ttext\na7\tthe lazy dog\n")
    code, shown, said = run("predict", served, "--in", path, "--id", "key")
    assert code == 0, said
    answer = json.loads(shown)
    assert list(answer) == ["key", "label", "score"]
    assert (answer["key"], answer["label"]) == ("a7", "animal")
    code, _, said = run("predict", served, "--in", path, "--id", "number")
    assert code == 2
    assert "no column 'number'; there are: key, text" in said


def test_predict_writes_a_file_where_one_is_named(run, served, some_texts, tmp_path):
    out = tmp_path / "answers.jsonl"
    code, shown, said = run("predict", served, "--in", some_texts, "--out", out)
    assert (code, shown) == (0, ""), said
    assert len(out.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--in", "nowhere.txt"], "nowhere.txt: no such file"),
        (["--in", "TEXTS", "--text", "body"], "no column 'body'; there are: text"),
        (["--in", "TEXTS", "--pair", "other"], "no column 'other'"),
        (["--in", "TEXTS", "--backend", "openvino"], "holds no openvino"),
    ],
)
def test_predict_refuses_in_one_line(run, served, some_texts, words, message):
    words = [some_texts if word == "TEXTS" else word for word in words]
    code, shown, said = run("predict", served, *words)
    assert (code, shown) == (2, "")
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_predict_refuses_a_folder_that_was_not_exported(run, teacher, some_texts):
    code, _, said = run("predict", teacher, "--in", some_texts)
    assert code == 2
    assert "was not exported by leanformer" in said


def test_predict_of_an_embedding_gives_vectors(run, some_texts, tmp_path):
    from leanformer.runtime.manifest import Manifest, write_manifest

    folder = tiny_data.write_encoder(tmp_path / "encoder")
    write_manifest(folder, Manifest(kind="embedding", max_length=64))
    code, shown, said = run("predict", folder, "--in", some_texts)
    assert code == 0, said
    answers = [json.loads(line) for line in shown.splitlines()]
    assert [len(answer["vector"]) for answer in answers] == [32, 32]
    code, _, said = run("predict", folder, "--in", some_texts, "--pair", "text")
    assert code == 2
    assert "gives the vector of one text; leave --pair out" in said


def test_measure_shows_time_memory_and_size(run, served, data):
    code, shown, said = run("measure", served, "--in", data / "dev.tsv", "--threads", 1)
    assert code == 0, said
    for name in ("latency_32", "throughput", "throughput_unsorted", "memory", "size", "flops"):
        assert name in shown
    assert "pytorch fp32" in shown


def test_measure_refuses_a_column_that_is_not_there(run, served, data):
    code, _, said = run("measure", served, "--in", data / "dev.tsv", "--text", "body")
    assert code == 2
    assert "no column 'body'; there are: text, label" in said


@pytest.fixture
def cascaded(tmp_path):
    """A cascade whose dev passed on 1 of 200 texts, and texts of which half are passed on."""
    first, second = ngrams(tmp_path / "a"), transformer(tmp_path / "b")
    made = cascade(tmp_path / "c", first, second, halfway(first), deferred=1, texts=200)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    return made, tmp_path / "texts.txt"


def test_predict_says_which_part_of_a_cascade_answers(run, cascaded):
    folder, texts = cascaded
    code, shown, said = run("predict", folder, "--in", texts)
    assert code == 0, said
    answers = [json.loads(line) for line in shown.splitlines()]
    assert [list(one) for one in answers] == [["text", "label", "score", "source"]] * len(TEXTS)
    assert [one["source"] for one in answers] == leanformer.load(folder).sources(TEXTS)
    assert {one["source"] for one in answers} == {"n-grams", "teacher"}


def test_measure_warns_of_a_cascade_that_passes_on_more_than_on_dev(run, cascaded, monkeypatch):
    folder, texts = cascaded
    memory = Quantity(1.0, "bytes")
    monkeypatch.setattr("leanformer.measure.folders.peak_memory", lambda *_, **__: memory)
    code, shown, said = run("measure", folder, "--in", texts, "--threads", 1)
    assert code == 0, said
    assert re.search(r"deferral +0.5 \n +deferral on dev +0.005\n", shown)
    for name in ("latency_mean", "latency_median", "latency_worst"):
        assert name in shown
    assert f"warning: {folder}: 50.0% of these 40 texts are passed on" in said
