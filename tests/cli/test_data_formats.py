"""Data as people have it, at the command line: read where it is clear, refused in one line before a
model is opened where it is not."""

import gzip
import io
import json
import subprocess
import sys

import pyarrow
import pytest
from pyarrow import parquet

ROWS = [
    {"Text": text, "Label": label}
    for text, label in [("the lazy dog", "animal"), ("my card", "money")]
]


def in_parquet(rows):
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), stream)
    return stream.getvalue()


def in_lines(*lines):
    return "".join(f"{line}\n" for line in lines).encode()


WIDE = in_lines("text;label", "a;b").decode().encode("utf-16")
TWICE = in_lines("text,label,label", "a,b,c")
CONLL = in_lines("Anna NNP B-PER", "is VBZ")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("train.parquet", in_parquet(ROWS)[:-9], "train.parquet: damaged Parquet file ("),
        ("train.parquet", b"", "train.parquet: damaged Parquet file ("),
        ("train.json", b"", "train.json: the file holds no row"),
        ("train.json", b"[]", "train.json: the file holds no row"),
        ("train.json", json.dumps(ROWS).encode()[:-2], "train.json:1: not JSON ("),
        ("train.json", b'{"a": [{"b": 1}], "c": 2}', "train.json: the whole file is one object (a, c)"),
        ("train.csv", b"text;label\n", "train.csv: the file holds no row"),
        ("train.csv", TWICE, "train.csv:1: 2 columns are called 'label'"),
        ("train.csv", WIDE, "train.csv: this is UTF-16, and UTF-8 is read; convert it first:"),
        ("train.conll", CONLL, "train.conll:2: 2 columns where line 1 has 3; the tag is the last one"),
        ("train/x.csv", b"text;label\n", "x.csv: the file holds no row"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_before_a_model_is_opened(
    run, tmp_path, name, raw, message, packed
):
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    if packed:
        path, raw = path.with_name(f"{path.name}.gz"), gzip.compress(raw)
        message = message.replace(path.name.removesuffix(".gz"), path.name)
    path.write_bytes(raw)
    # this folder holds no model, which would be said first if it were opened first
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'model = "{tmp_path}"\n[data]\npath = "{tmp_path / "data"}"\n[[steps]]\nuse = "int8"\n'
    )
    for words in (["compress", tmp_path, tmp_path / "data"], ["run", recipe]):
        code, shown, said = run(*words, "--out", tmp_path / "out")
        assert (code, shown) == (2, "")
        assert message in said
        assert len(said.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_a_fresh_process_refuses_a_folder_with_two_formats_of_one_split(tmp_path):
    (tmp_path / "train.csv").write_bytes(in_lines("text;label", "a;b"))
    (tmp_path / "train.parquet").write_bytes(in_parquet(ROWS))
    command = [
        sys.executable,
        "-c",
        "from leanformer.cli import main; main()",
        "compress",
        "nowhere/model",
    ]
    ended = subprocess.run(
        [*command, str(tmp_path), "--out", str(tmp_path / "out")], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "both train.csv and train.parquet; keep one of them" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("texts.parquet", in_parquet(ROWS)),
        ("texts.json.gz", gzip.compress(json.dumps(ROWS, indent=1).encode(), mtime=0)),
        ("texts.csv", in_lines("Text;Label", "the lazy dog;animal", "my card;money")),
    ],
)
def test_predict_reads_them_too(run, served, tmp_path, name, raw):
    (tmp_path / name).write_bytes(raw)
    code, shown, said = run("predict", served, "--in", tmp_path / name, "--text", "Text")
    assert code == 0, said
    answers = [json.loads(line) for line in shown.splitlines()]
    assert [answer["Text"] for answer in answers] == ["the lazy dog", "my card"]
    assert [answer["label"] for answer in answers] == ["animal", "money"]
    code, _, said = run("predict", served, "--in", tmp_path / name)
    assert (code, "no column 'text'; there are: Text, Label; name it: --text" in said) == (2, True)


def test_predict_writes_any_id(run, served, tmp_path):
    import datetime

    rows = [{"text": "the lazy dog", "day": datetime.date(2026, 2, 3)}]
    (tmp_path / "texts.parquet").write_bytes(in_parquet(rows))
    code, shown, said = run("predict", served, "--in", tmp_path / "texts.parquet", "--id", "day")
    assert code == 0, said
    assert json.loads(shown)["day"] == "2026-02-03"
