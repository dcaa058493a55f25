import os
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.corpus.corpora import texts_of, written

from leanformer.core.storage.lock import FolderInUse, locked_folder
from leanformer.data.corpus import Corpus
from leanformer.data.corpus import tokenized as module
from leanformer.data.corpus.token_file import Listing, TokenFile
from leanformer.data.corpus.token_ids import TokenIds
from leanformer.data.corpus.tokenized import tokenized
from leanformer.models.tiny_tokenizers import tiny_tokenizer

TEXTS = texts_of(200)


def make(
    folder: Path,
    texts: list[str] = TEXTS,
    *,
    name: str = "texts.txt",
    held_out: float = 0.2,
    family: str = "gpt2",
    kind: str = "causal-lm",
    **settings: Any,
) -> Listing:
    path = folder / name
    if not path.is_file() or path.read_text() != "\n".join(texts) + "\n":
        written(path, texts)
    corpus = Corpus(paths=(str(path),), held_out=held_out)
    tokenizer = tiny_tokenizer(family)
    return tokenized(corpus, tokenizer, kind, folder / "c", **{"shard_tokens": 700, **settings})


def documents(folder: Path, listing: Listing, split: Any) -> list[list[int]]:
    file = TokenFile(folder / "c", listing, split)
    found = []
    for shard in range(file.shards):
        ends = [0, *file.ends(shard).tolist()]
        begin = int(file.begins[shard])
        for start, end in pairwise(ends):
            found.append(file.read(np.array([begin + start]), np.array([end - start])).tolist())
    return found


def test_each_document_is_on_one_side_with_the_ids_of_its_text(tmp_path: Path) -> None:
    texts = [*TEXTS, *TEXTS[:20], "  "]
    listing = make(tmp_path, texts)
    assert len(listing.shards) > 3
    read = TokenIds(tiny_tokenizer("gpt2"), "causal-lm")
    train, held_out = (documents(tmp_path, listing, side) for side in ("train", "held_out"))
    assert sorted(train + held_out) == sorted(read([text for text in texts if text.strip()]))
    assert 10 < len(held_out) < 90
    assert not {tuple(ids) for ids in train} & {tuple(ids) for ids in held_out}
    assert sum(shard.documents for shard in listing.shards) == 220


def test_an_equal_corpus_is_used_again_and_another_refused(tmp_path: Path) -> None:
    said: list[Any] = []
    first = make(tmp_path, watch=said.append)
    assert [one.documents for one in said][-1] == 200
    assert said[-1].share == 1.0
    assert said[-1].left == 0.0
    assert said[-1].characters == sum(map(len, TEXTS))
    assert said[-1].bytes_read == (tmp_path / "texts.txt").stat().st_size
    said.clear()
    assert make(tmp_path, watch=said.append) == first
    assert not said  # nothing was read
    make(tmp_path, watch=said.append, reread=True)
    assert said
    os.utime(tmp_path / "texts.txt", (1, 1))
    moved = make(tmp_path, name="moved.txt")  # by content, not by path
    assert moved.shards == first.shards
    assert make(tmp_path, name="moved.txt") == moved
    other = [*TEXTS[:150], "another text", *TEXTS[151:]]
    last = len(first.shards) - 1
    with pytest.raises(
        ValueError, match=r"holds the tokens of other texts: they differ within sha"
    ):
        make(tmp_path, other)
    with pytest.raises(
        ValueError, match=rf"they differ within shard-0000{last}; name another fold"
    ):
        make(tmp_path, TEXTS[:-1])
    with pytest.raises(
        ValueError, match=r"holds the tokens of other texts: .*:201 is not among th"
    ):
        make(tmp_path, [*TEXTS, "more"])
    with pytest.raises(
        ValueError, match=r"holds other work, which differs in held_out \(0.2 → 0.1"
    ):
        make(tmp_path, held_out=0.1)
    with pytest.raises(ValueError, match=r"holds other work, which differs in the tokenizer; name"):
        make(tmp_path, family="llama")
    assert make(tmp_path).shards == first.shards


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine").touch()
    with pytest.raises(
        ValueError, match=r"c holds other files \(mine\); name a folder for the tok"
    ):
        make(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        tokenized(Corpus(paths=("a.txt",)), tiny_tokenizer("gpt2"), "causal-lm", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_one_process_prepares(tmp_path: Path) -> None:
    raised: list[BaseException] = []

    def second() -> None:
        try:
            make(tmp_path)
        except FolderInUse as error:
            raised.append(error)

    with locked_folder(tmp_path / "c"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert raised


def test_both_sides_have_a_document(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="held_out: of 2 documents none is held out; hold more out"
    ):
        make(tmp_path, ["one", "two"], held_out=1e-6)
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="of 2 documents none is left to train on; hold less out"):
        make(tmp_path / "b", ["one", "two"], held_out=1 - 1e-9)


def killed_within(folder: Path, shard: int) -> None:
    """Prepare the corpus in a child that is killed after two documents of a shard."""
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        return
    write = module.write_shard

    def killing(path: Path, documents: Any, *rest: Any) -> Any:
        def until() -> Any:
            for number, one in enumerate(documents):
                if path.name == f"shard-{shard:05}" and number == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield one

        return write(path, until(), *rest)

    module.write_shard = killing
    try:
        make(folder)
    finally:
        os._exit(1)


def test_a_killed_preparation_goes_on(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = make(tmp_path / "whole")
    killed_within(tmp_path, 3)
    shards = sorted(one.name for one in (tmp_path / "c").iterdir() if one.name.startswith("shard"))
    assert shards == ["shard-00000", "shard-00001", "shard-00002"]
    times = [(tmp_path / "c" / name / "train.ids").stat().st_mtime_ns for name in shards]
    with pytest.raises(
        ValueError, match="holds the tokens of other texts: they differ within shar"
    ):
        make(tmp_path, [*TEXTS[:3], "changed", *TEXTS[4:]])
    resumed = make(tmp_path)
    assert resumed.shards == whole.shards
    assert resumed.parts == whole.parts
    after = [(tmp_path / "c" / name / "train.ids").stat().st_mtime_ns for name in shards]
    assert after == times
