import io
import json
import re
from pathlib import Path

import pytest
from search_cases import write_notes

from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.numerics.pooling import Pooling
from leanformer.retrieve.searching import Texts, index_texts


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A bi-encoder and a cross-encoder."""
    place = tmp_path_factory.mktemp("models")
    model, tokenizer = tiny_model("bert", head="embedding")
    describe_embedding(model, tokenizer, Embedding(pooling=Pooling()))
    save_model(model, tokenizer, place / "bi")
    save_model(*tiny_model("bert", num_labels=1), place / "cross")
    return place


@pytest.fixture(scope="module")
def terms(tmp_path_factory):
    """A folder that is indexed by terms alone."""
    place = tmp_path_factory.mktemp("terms")
    index_texts(Texts(path=write_notes(place / "notes")), place / "found")
    return place / "found"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return write_notes(tmp_path / "notes")


@pytest.fixture
def found(run, models, notes, tmp_path):
    """A folder that is indexed by terms and vectors."""
    out = tmp_path / "found"
    code, shown, said = run("index", notes, "--encoder", models / "bi", "--out", out)
    assert code == 0, said
    assert shown.startswith("4 documents, 4 passages: 4 new, 0 as they were, 0 removed; 4 texts")
    assert "embedding  100%" in said
    return out


def test_a_folder_is_indexed_and_searched_in_every_way(run, found, models):
    for flags in (["--by", "bm25"], ["--by", "dense"], [], ["--rerank", models / "cross"]):
        code, shown, said = run(
            "search", found, "who pays for a parcel?", "oxygen", "--json", *flags
        )
        assert code == 0, said
        parcel, oxygen = (json.loads(line) for line in shown.splitlines())
        assert parcel["query"] == "who pays for a parcel?"
        hit = next(hit for hit in parcel["hits"] if "sender" in hit["text"])
        assert hit["metadata"]["source"] == "post/parcel.txt"
        assert oxygen["hits"][0]["scores"]
    assert set(hit["scores"]) == {"bm25", "dense", "fused", "rerank"}


def test_what_is_shown_names_the_place_and_the_scores(run, found):
    code, shown, said = run("search", found, "東京", "--by", "bm25", "-k", "1")
    assert code == 0, said
    assert " 1. 東京.md [0-" in shown
    assert "東京タワーは高いです。" in shown.replace("\n", "")
    assert "bm25 " in shown
    code, shown, _ = run("search", found, "zzz", "--by", "bm25")
    assert (code, "nothing was found" in shown) == (0, True)


def test_the_same_command_again_follows_the_folder(run, found, notes, models):
    (notes / "new.md").write_text("Argon is a noble gas.")
    (notes / "blood.md").unlink()
    code, shown, said = run("index", notes, "--out", found)  # the encoder is recorded
    assert code == 0, said
    assert "4 passages: 1 new, 3 as they were, 1 removed; 1 texts embedded" in shown
    _, shown, _ = run("search", found, "argon", "--json")
    assert json.loads(shown)["hits"][0]["metadata"]["source"] == "new.md"


def test_the_prompt_of_a_document_takes_its_share_of_what_is_read(run, notes, tmp_path):
    model, tokenizer = tiny_model("bert", head="embedding")
    prompts = {"document": "the lazy dog : "}
    describe_embedding(model, tokenizer, Embedding(pooling=Pooling(), prompts=prompts))
    save_model(model, tokenizer, tmp_path / "prompted")
    given = ["index", notes, "--encoder", tmp_path / "prompted", "--out"]
    code, _, said = run(*given, tmp_path / "new", "--size", "62")
    assert code == 2
    read = int(re.search(r"62 tokens, and the encoder reads (\d+)", said)[1])
    assert 54 <= read <= 58  # 64, less two special tokens and four words or more of the prompt
    assert run(*given, tmp_path / "new")[0] == 0
    cutting = json.loads((tmp_path / "new" / "search.json").read_text())["cutting"]
    assert cutting["size"] == read


def test_settings_that_were_not_given_again_stay(run, found, notes, models):
    code, _, said = run("index", notes, "--no-dense", "--out", found)
    assert code == 2
    assert "--no-dense: " in said
    assert "was made with vectors" in said


def test_terms_alone_need_no_model(run, notes, tmp_path):
    out = tmp_path / "terms"
    code, _, said = run("index", notes, "--no-dense", "--out", out)
    assert code == 0, said
    code, shown, said = run("search", out, "parcel", "--json")
    assert (code, len(json.loads(shown)["hits"])) == (0, 1), said


def test_questions_come_from_a_file_or_line_by_line(run, found, tmp_path, monkeypatch):
    (tmp_path / "q.txt").write_text("parcel\n\noxygen\n")
    code, shown, said = run("search", found, "--in", tmp_path / "q.txt", "--by", "bm25", "--json")
    assert code == 0, said
    assert [json.loads(line)["query"] for line in shown.splitlines()] == ["parcel", "oxygen"]
    monkeypatch.setattr("sys.stdin", io.StringIO("parcel\n  \n oxygen"))
    _, piped, _ = run("search", found, "--by", "bm25", "--json")
    assert piped == shown


def test_filters_are_comparisons(run, tmp_path):
    rows = [
        {"text": f"parcel {year}", "year": year, "no": str(year)} for year in (1959, 1962, 1971)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert run("index", tmp_path / "t.jsonl", "--no-dense", "--out", tmp_path / "out")[0] == 0

    def years(*filters):
        flags = [word for one in filters for word in ("--where", one)]
        code, shown, said = run("search", tmp_path / "out", "parcel", "--json", *flags)
        assert code == 0, said
        return {hit["metadata"]["year"] for hit in json.loads(shown)["hits"]}

    assert years("year=1962") == years("no=1962") == years("year==1962") == {1962}
    assert years("year>=1960", "year<1970") == {1962}
    assert years("year!=1962") == years("no!=1962") == {1959, 1971}
    assert years('no>="1960"') == {1962, 1971}
    assert years("source=t.jsonl") == {1959, 1962, 1971}
    code, _, said = run("search", tmp_path / "out", "parcel", "--where", "year")
    assert (code, "'year' is not of the form name=value" in said) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["index", "NOTES", "--out", "OUT"], "--encoder: name the model that embeds the texts"),
        (["index", "NOTES", "--out", "OUT", "--no-dense", "--encoder", "x"], "leave one of them out"),
        (["index", "nowhere", "--out", "OUT", "--no-dense"], "nowhere: no such file or folder"),
        (["index", "NOTES", "--out", "OUT", "--no-dense", "--size", "0"], "size: 0 is not at least 1"),
        (
            ["index", "NOTES", "--out", "OUT", "--encoder", "BI", "--size", "100"],
            "size: passages of 100 tokens, and the encoder reads 62; what is behind them",
        ),
        (["search", "FOUND", "x", "--by", "dense"], "'dense' needs vectors"),
        (["search", "nowhere", "x"], "no index of texts here"),
        (["search", "FOUND", " "], "queries[0] is empty"),
        (["search", "FOUND", "x", "-k", "0"], "k: 0 is not at least 1"),
        (["search", "FOUND", "x", "--by", "magic"], "'magic' is not one of"),
        (["search", "FOUND", "x", "--in", "q.txt"], "--in: questions are given already"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_line(run, words, said, notes, terms, models, tmp_path):
    known = {"NOTES": notes, "OUT": tmp_path / "new", "FOUND": terms, "BI": models / "bi"}
    code, _, told = run(*[known.get(word, word) for word in words])
    assert code == 2
    assert said in told
    assert "Traceback" not in told
    assert not (tmp_path / "new").exists()


def test_damaged_files_are_named_and_may_be_left_out(run, notes, tmp_path):
    (notes / "bad.txt").write_bytes(b"caf\xe9")
    out = tmp_path / "out"
    code, _, said = run("index", notes, "--no-dense", "--out", out)
    assert (code, "bad.txt:1: byte 0xe9 is not UTF-8" in said) == (2, True)
    code, _, said = run("index", notes, "--no-dense", "--out", out, "--skip-errors")
    assert (code, "left out: " in said) == (0, True)
