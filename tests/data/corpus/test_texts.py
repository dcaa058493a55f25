import json
import sys
from pathlib import Path

import pytest

from leanformer.data.corpus import Corpus, stream
from leanformer.data.corpus.texts import hub_documents, source_bytes, sources


def shards(folder: Path) -> Path:
    folder.mkdir()
    (folder / "b.jsonl").write_text('{"text": "three"}\n')
    (folder / "a.txt").write_text("one\ntwo\n")
    (folder / "README.md").write_text("about")
    (folder / ".hidden.txt").write_text("nothing")
    return folder


def test_shards_are_read_in_order(tmp_path: Path) -> None:
    folder = shards(tmp_path / "wiki")
    (tmp_path / "last.txt").write_text("four")
    corpus = Corpus(paths=(str(folder), str(tmp_path / "last.txt")))
    found = list(stream(corpus))
    assert [one.text for one in found] == ["one", "two", "three", "four"]
    assert [one.name for one in sources(corpus) if isinstance(one, Path)] == [
        "a.txt",
        "b.jsonl",
        "last.txt",
    ]
    assert found[-1].done == source_bytes(corpus) == 8 + 18 + 4


def test_one_path_may_be_a_string() -> None:
    assert Corpus(paths="a.txt").paths == ("a.txt",)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"paths": ()}, "paths: no path is given"),
        ({"paths": "a", "documents": "pages"}, "documents: 'pages' is not lines or blank-lines"),
        ({"paths": "a", "held_out": 1.0}, "held_out: 1.0 is not at least 0 and below 1"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Corpus(**settings)  # type: ignore[arg-type]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for path in ("missing.txt", "./missing", "missing", "a/b/c"):
        with pytest.raises(FileNotFoundError, match=f"{path}: no such file or folder"):
            sources(Corpus(paths=(path,)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: no file that can be read .*; the folder is empt"):
        sources(Corpus(paths=(str(tmp_path / "empty"),)))
    (tmp_path / "empty" / "a.csv").touch()
    with pytest.raises(ValueError, match=r"empty: no file that can be read .*; there are: a\.csv"):
        sources(Corpus(paths=(str(tmp_path / "empty"),)))


def hub(folder: Path) -> Path:
    folder.mkdir()
    rows = [{"id": n, "text": text} for n, text in enumerate(["one", "", "two"])]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "test.jsonl").write_text('{"id": 0, "text": ""}')
    return folder


def test_a_data_set_of_the_hub_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hub(tmp_path / "name")
    found = list(hub_documents(str(folder), "train"))
    assert [(one.text, one.place) for one in found] == [
        ("one", f"{folder} train row 1"),
        ("two", f"{folder} train row 3"),
    ]
    with pytest.raises(ValueError, match=r"there is no split 'trian'.*there are: "):
        next(hub_documents(str(folder), "trian"))
    with pytest.raises(ValueError, match="train row 1: there is no column 'words'"):
        next(hub_documents(str(folder), "train", "words"))
    with pytest.raises(ValueError, match="its split test holds no text; name another one"):
        next(hub_documents(str(folder), "test"))
    monkeypatch.setattr("leanformer.data.corpus.texts.hub_documents", lambda *_: iter(found))
    corpus = Corpus(paths=("owner/name",))
    assert list(stream(corpus)) == found
    assert source_bytes(corpus) == 0


def test_the_hub_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="and the hub did not give it"):
        next(hub_documents("leanformer-tests/absent", "train"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(FileNotFoundError, match=r"pip install 'leanformer\[hub\]'"):
        next(hub_documents("owner/name", "train"))
