import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_cases import NOTES, WordHashes, write_notes

from leanformer.core.storage.lock import FolderInUse, locked_folder
from leanformer.retrieve.indexes.exact import Exact
from leanformer.retrieve.searching import Asked, IndexProgress, Searcher, Texts, index_texts
from leanformer.retrieve.searching import adding as adding_module
from leanformer.retrieve.store import VectorStore


def texts_in(folder: Path) -> set[str]:
    """Every passage of an index."""
    snapshot = VectorStore.open(folder / "store").snapshot()
    rows = snapshot.alive().nonzero()[0]
    return {record["text"] for record in snapshot.records(rows)}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return write_notes(tmp_path / "notes")


def asked(encoder: WordHashes | None = None, **more: Any) -> Asked:
    return Asked(encoder=encoder or WordHashes(), size=8, overlap=0, **more)


def test_a_folder_holds_every_sentence_with_its_place(notes: Path, tmp_path: Path) -> None:
    seen: list[IndexProgress] = []
    done = index_texts(Texts(path=notes), tmp_path / "out", asked(), watch=seen.append)
    assert (done.documents, done.deleted, done.unreadable) == (4, 0, ())
    assert done.added == done.passages == len(texts_in(tmp_path / "out"))
    snapshot = VectorStore.open(tmp_path / "out" / "store").snapshot()
    for record in snapshot.records(range(snapshot.rows)):
        about = record["metadata"]
        whole = NOTES[about["source"]]
        assert record["text"] == whole[about["start_char"] : about["end_char"]]
    assert [one.what for one in seen] == ["reading", "embedding", "indexing", "indexing"]
    assert (seen[1].share, seen[1].left) == (1.0, 0.0)


def test_the_same_call_again_embeds_nothing(notes: Path, tmp_path: Path) -> None:
    encoder = WordHashes()
    first = index_texts(Texts(path=notes), tmp_path / "out", asked(encoder))
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*.npy")}
    encoder.read = 0
    again = index_texts(Texts(path=notes), tmp_path / "out", Asked(encoder=encoder))
    assert (again.added, again.deleted, again.passages) == (0, 0, first.passages)
    assert encoder.read == 0
    assert before == {file: file.stat().st_mtime_ns for file in before}


def test_a_changed_folder_is_followed_and_what_only_moved_is_not_read_again(
    notes: Path, tmp_path: Path
) -> None:
    out, encoder = tmp_path / "out", WordHashes()
    index_texts(Texts(path=notes), out, asked(encoder))
    (notes / "post" / "letter.txt").unlink()
    (notes / "new.md").write_text("Bicycles have two wheels.")
    blood = notes / "blood.md"
    blood.write_text("Preface of some words that fill one passage.\n\n" + blood.read_text())
    encoder.read = 0
    done = index_texts(Texts(path=notes), out, asked(encoder))
    assert encoder.read == done.embedded == 2  # the preface and the new file
    assert done.deleted > 0
    fresh = tmp_path / "fresh"
    index_texts(Texts(path=notes), fresh, asked())
    assert texts_in(out) == texts_in(fresh)
    for by in ("bm25", "dense", "fused"):
        ours, theirs = (
            Searcher.open(folder, encoder=WordHashes()).search(["iron wheels"], 9, by=by)  # type: ignore[arg-type]
            for folder in (out, fresh)
        )
        # The statistics of terms are of the same texts, and so are the scores.
        assert [(hit.text, pytest.approx(hit.score)) for hit in theirs[0]] == [
            (hit.text, hit.score) for hit in ours[0]
        ]


def passages_of(folder: Path, source: str) -> list[str]:
    snapshot = VectorStore.open(folder / "store").snapshot()
    records = snapshot.records(snapshot.alive().nonzero()[0])
    return [one["text"] for one in records if one["metadata"]["source"] == source]


def test_the_passages_of_a_changed_document_are_replaced_in_one_commit(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding_module, "_BATCH", 2)
    out, seen, upsert = tmp_path / "out", list[list[str]](), VectorStore.upsert
    (notes / "long.md").write_text("\n\n".join(f"Old {n} of a long text." for n in range(9)))
    index_texts(Texts(path=notes), out, asked())
    old = passages_of(out, "long.md")
    assert len(old) == 9
    letters = len(passages_of(out, "post/letter.txt"))
    (notes / "long.md").write_text("\n\n".join(f"New {n} of the same text." for n in range(7)))
    (notes / "post" / "letter.txt").unlink()
    (notes / "added.md").write_text("\n\n".join(f"Added {n} at the very end." for n in range(5)))

    def seeing(self: VectorStore, *args: Any, **more: Any) -> Any:
        rows = upsert(self, *args, **more)
        seen.append(passages_of(out, "long.md"))
        return rows

    monkeypatch.setattr(VectorStore, "upsert", seeing)
    done = index_texts(Texts(path=notes), out, asked())
    new = passages_of(out, "long.md")
    assert new == [f"New {n} of the same text." for n in range(7)]
    assert len(seen) == 5  # three of what was added, in twos; the long text; what is gone
    assert [one for one in seen if one != old] == [new] * 2
    assert (done.added, done.deleted) == (5 + 7, 9 + letters)
    assert passages_of(out, "post/letter.txt") == []


def killed(notes: Path, out: Path, batches: int) -> None:
    """Index in batches of two passages, and die before another commit."""
    adding_module._BATCH = 2
    upsert, count = VectorStore.upsert, iter(range(100))

    def upsert_or_die(self: VectorStore, *args: Any, **more: Any) -> Any:
        if next(count) == batches:
            os._exit(9)
        return upsert(self, *args, **more)

    VectorStore.upsert = upsert_or_die  # type: ignore[method-assign]
    index_texts(Texts(path=notes), out, asked())
    os._exit(0)


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_killed_at_a_commit_it_goes_on_behind_the_last(
    notes: Path, tmp_path: Path, batches: int
) -> None:
    out = tmp_path / "out"
    process = multiprocessing.get_context("fork").Process(target=killed, args=(notes, out, batches))
    process.start()
    process.join()
    assert process.exitcode == 9
    with pytest.raises(ValueError, match="indexing has not ended; run the same leanformer index"):
        Searcher.open(out, encoder=WordHashes())
    encoder = WordHashes()
    done = index_texts(Texts(path=notes), out, asked(encoder))
    assert encoder.read == done.added == done.passages - 2 * batches
    index_texts(Texts(path=notes), tmp_path / "fresh", asked())
    assert texts_in(out) == texts_in(tmp_path / "fresh")


def test_damaged_files_are_all_named_before_anything_is_written(
    notes: Path, tmp_path: Path
) -> None:
    for name in ("one.txt", "two.txt"):
        (notes / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"2 of 6 documents .*one\.txt.*two\.txt.*--skip-errors"):
        index_texts(Texts(path=notes), tmp_path / "out", asked())
    assert not (tmp_path / "out").exists()
    done = index_texts(Texts(path=notes), tmp_path / "out", asked(), skip_errors=True)
    assert len(done.unreadable) == 2
    assert done.documents == 4


def test_the_passages_of_a_file_that_cannot_be_read_now_stay(notes: Path, tmp_path: Path) -> None:
    before = index_texts(Texts(path=notes), tmp_path / "out", asked())
    (notes / "blood.md").write_bytes(b"caf\xe9")
    done = index_texts(Texts(path=notes), tmp_path / "out", asked(), skip_errors=True)
    assert (done.passages, done.deleted) == (before.passages, 0)


def test_what_the_folder_was_not_made_of_is_refused(notes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    index_texts(Texts(path=notes), out, asked())
    with pytest.raises(
        ValueError, match=r"made by another model than this encoder .* into another folder"
    ):
        index_texts(Texts(path=notes), out, asked(WordHashes(identity="other")))
    with pytest.raises(ValueError, match=r"size: .* was made with 8, not 9; leave it out"):
        index_texts(Texts(path=notes), out, Asked(encoder=WordHashes(), size=9))
    with pytest.raises(ValueError, match=r"bm25: .* was made with True, not False"):
        index_texts(Texts(path=notes), out, Asked(encoder=WordHashes(), bm25=False))
    bare = tmp_path / "bare"
    index_texts(Texts(path=notes), bare)
    with pytest.raises(ValueError, match="was made without vectors; leave the encoder out"):
        index_texts(Texts(path=notes), bare, asked())


def test_an_index_is_built_anew_where_its_settings_change_and_keeps_the_others(
    notes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    file = out / "store" / "index" / "index.json"
    queries = np.ones((3, WordHashes().width), np.float32)

    def built(**settings: Any) -> tuple[int, dict[str, Any]]:
        index_texts(Texts(path=notes), out, asked(), threads=1, **settings)
        return file.stat().st_mtime_ns, json.loads(file.read_text())["asked"]

    first, said = built(target_recall=0.5, queries_QD=queries)
    assert said == {"index": None, "target_recall": 0.5, "k": 10, "prefer": "latency"}
    assert built() == (first, said)
    second, changed = built(prefer="memory")
    assert (second != first, changed) == (True, said | {"prefer": "memory"})
    third, exact = built(index=Exact())
    assert exact == changed | {"index": {"use": "exact"}}
    assert built(index=Exact()) == (third, exact)
    assert built(k=3)[1] == exact | {"k": 3}


def test_what_cannot_be_carried_out_is_refused(notes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="there is nothing to search by"):
        index_texts(Texts(path=notes), out, Asked(bm25=False))
    distant = WordHashes()
    distant.lengths_count, distant.similarity = True, "euclidean"
    with pytest.raises(ValueError, match="compared by their euclidean distance, and an index"):
        index_texts(Texts(path=notes), out, asked(distant))
    with pytest.raises(ValueError, match="tokens are those of an encoder's folder"):
        index_texts(Texts(path=notes), out, asked(unit="tokens"))
    with pytest.raises(ValueError, match=r"target_recall: 2 is not above 0 and at most 1"):
        index_texts(Texts(path=notes), out, target_recall=2)
    with pytest.raises(ValueError, match="prefer: 'speed' is not one of latency"):
        index_texts(Texts(path=notes), out, prefer="speed")
    with pytest.raises(ValueError, match=r"'recall' is not a setting .*target_recall"):
        index_texts(Texts(path=notes), out, recall=0.9)
    (tmp_path / "blanks").mkdir()
    (tmp_path / "blanks" / "a.txt").write_text("\n")
    with pytest.raises(ValueError, match="all texts are blank"):
        index_texts(Texts(path=tmp_path / "blanks"), out)
    (tmp_path / "twice.csv").write_text("id,text\n1,a\n1,b\n")
    with pytest.raises(ValueError, match="two documents have the id '1'"):
        index_texts(Texts(path=tmp_path / "twice.csv"), out)
    assert not out.exists()
    with locked_folder(out):
        process = multiprocessing.get_context("fork").Process(
            target=_fails_with, args=(FolderInUse, notes, out)
        )
        process.start()
        process.join()
    assert process.exitcode == 0


def _fails_with(error: type[Exception], notes: Path, out: Path) -> None:
    """End with 0 where indexing is refused by such an error."""
    from leanformer.core.storage import lock

    lock._mine.__dict__.clear()  # of the process that this one was forked from
    try:
        index_texts(Texts(path=notes), out)
    except error:
        os._exit(0)
    os._exit(1)
