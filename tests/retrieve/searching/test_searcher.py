import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from search_cases import Longest, WordHashes, write_notes

from leanformer.retrieve.searching import Asked, Hit, Searcher, Texts, index_texts
from leanformer.retrieve.store import VectorStore

QUESTIONS = ["who pays for a parcel", "oxygen", "postman bicycle", "東京", "iron makes red"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("search")
    notes = write_notes(place / "notes")
    index_texts(Texts(path=notes), place / "out", Asked(encoder=WordHashes(), size=8, overlap=0))
    return place / "out"


@pytest.fixture(scope="module")
def searcher(folder: Path) -> Searcher:
    return Searcher.open(folder, encoder=WordHashes(), reranker=Longest())


def test_each_way_finds_the_passage_and_says_where_it_is_from(searcher: Searcher) -> None:
    for by in ("bm25", "dense", "fused"):
        hit = searcher.search(["who pays for a parcel"], 1, by=by)[0][0]  # type: ignore[arg-type]
        assert hit.text == "The sender pays for the parcel."
        assert hit.metadata == {"source": "post/parcel.txt", "start_char": 0, "end_char": 31}
        assert hit.score == hit.scores[by]
    assert sorted(hit.scores) == ["bm25", "dense", "fused"]


def test_a_fusion_is_the_sum_of_reciprocal_ranks(searcher: Searcher) -> None:
    for question in QUESTIONS:
        lists = [searcher.search([question], 50, by=by)[0] for by in ("bm25", "dense")]  # type: ignore[arg-type]
        expected = {}
        for hits in lists:
            for rank, hit in enumerate(hits, 1):
                expected[hit.key] = expected.get(hit.key, 0) + 1 / (60 + rank)
        found = searcher.search([question], 50)[0]
        assert {hit.key: hit.score for hit in found} == pytest.approx(expected)
        assert [hit.score for hit in found] == sorted(expected.values(), reverse=True)


def test_a_reranker_reads_the_first_passages_and_orders_them(searcher: Searcher) -> None:
    assert isinstance(searcher.reranker, Longest)
    searcher.reranker.read = 0
    hits = searcher.search(["oxygen"], 2, rerank=True, reranked=3)[0]
    assert searcher.reranker.read == 3
    first = searcher.search(["oxygen"], 3)[0]
    assert [hit.text for hit in hits] == sorted((h.text for h in first), key=len, reverse=True)[:2]
    assert all(hit.score == hit.scores["rerank"] for hit in hits)


def test_filters_choose_among_all_passages(searcher: Searcher) -> None:
    for by in ("bm25", "dense", "fused"):
        where = {"source": "post/letter.txt"}
        hits = searcher.search(["the parcel is carried"], 9, by=by, where=where)[0]  # type: ignore[arg-type]
        assert {hit.metadata["source"] for hit in hits} == {"post/letter.txt"}
        assert searcher.search(["parcel"], by=by, where={"source": "x"}) == [[]]  # type: ignore[arg-type]


def test_more_than_there_is_gives_all_there_is(searcher: Searcher) -> None:
    hits = searcher.search(["oxygen"], 10_000)[0]
    assert len(hits) == len(searcher) == len({hit.key for hit in hits})
    assert searcher.search([]) == []
    assert searcher.search(["zzzz"], by="bm25") == [[]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"queries": ["oxygen", " \t"]}, r"queries\[1\] is empty"),
        ({"queries": "oxygen"}, "got one string; give a list"),
        ({"queries": ["x"], "k": 0}, "k: 0 is not at least 1"),
        ({"queries": ["x"], "by": "bm52"}, r"'bm52' is not one of .*did you mean 'bm25'"),
    ],
)
def test_questions_that_cannot_be_answered_are_refused(
    searcher: Searcher, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        searcher.search(**given)


def test_eight_threads_get_the_answers_of_one(searcher: Searcher) -> None:
    expected = [searcher.search([one], 5, rerank=True) for one in QUESTIONS]
    wrong: list[Any] = []

    def work(shift: int) -> None:
        for turn in range(20):
            place = (turn + shift) % len(QUESTIONS)
            found = searcher.search([QUESTIONS[place]], 5, rerank=True)
            if found != expected[place]:
                wrong.append((QUESTIONS[place], found))

    threads = [threading.Thread(target=work, args=(shift,)) for shift in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def write(folder: Path, name: str, text: str) -> None:
    with VectorStore.open(folder / "store", write=True) as store:
        record = {"text": text, "metadata": {"source": name}}
        store.add([name], WordHashes().encode([text]), [record])


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A folder of its own, since it is written to."""
    notes = write_notes(tmp_path / "notes")
    index_texts(Texts(path=notes), tmp_path / "out", Asked(encoder=WordHashes(), size=8, overlap=0))
    return tmp_path / "out"


def texts(hits: list[list[Hit]]) -> list[str]:
    return [hit.text for hit in hits[0]]


def test_what_a_writer_adds_is_found_after_a_refresh(own: Path) -> None:
    searcher = Searcher.open(own, encoder=WordHashes())
    before = searcher.search(["oxygen"], 20)
    write(own, "later", "Argon is no oxygen, says the parcel.")
    assert searcher.search(["oxygen"], 20) == before
    searcher.refresh()
    for by in ("bm25", "dense", "fused"):
        assert "Argon is no oxygen, says the parcel." in texts(
            searcher.search(["argon"], 3, by=by)  # type: ignore[arg-type]
        )
    key = next(hit.key for hit in before[0])
    with VectorStore.open(own / "store", write=True) as store:
        store.delete([key])
        searcher.refresh()
        assert key not in {hit.key for hit in searcher.search(["oxygen"], 50)[0]}
        store.compact()
        searcher.refresh()
    found = searcher.search(["argon oxygen"], 50)[0]
    assert key not in {hit.key for hit in found}
    assert found[0].text == "Argon is no oxygen, says the parcel."
    assert found[0].scores.keys() == {"bm25", "dense", "fused"}


def test_readers_beside_a_writer_never_see_half_of_anything(own: Path) -> None:
    searcher, ended, wrong = Searcher.open(own, encoder=WordHashes()), threading.Event(), []

    def read() -> None:
        while not ended.is_set():
            searcher.refresh()
            for hit in searcher.search(["parcel number"], 50)[0]:
                if not hit.text or "source" not in hit.metadata:
                    wrong.append(hit)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(12):
        write(own, f"n{number}", f"parcel number {number}")
    with VectorStore.open(own / "store", write=True) as store:
        store.delete(["n3"])
        store.compact()
    ended.set()
    for reader in readers:
        reader.join()
    searcher.refresh()
    assert wrong == []
    found = searcher.search(["parcel number"], 50, by="bm25")[0]
    assert {f"n{number}" for number in range(12)} - {hit.key for hit in found} == {"n3"}


def test_a_folder_of_terms_alone_needs_no_model(tmp_path: Path) -> None:
    index_texts(Texts(path=write_notes(tmp_path / "notes")), tmp_path / "out")
    searcher = Searcher.open(tmp_path / "out")
    assert searcher.by == "bm25"
    assert searcher.search(["parcel"])[0][0].metadata["source"] == "post/parcel.txt"
    with pytest.raises(ValueError, match="'fused' needs vectors"):
        searcher.search(["parcel"], by="fused")
    with pytest.raises(ValueError, match="the searcher has no reranker"):
        searcher.search(["parcel"], rerank=True)


def test_a_folder_of_vectors_alone_has_no_terms(tmp_path: Path) -> None:
    notes = write_notes(tmp_path / "notes")
    index_texts(Texts(path=notes), tmp_path / "out", Asked(encoder=WordHashes(), bm25=False))
    assert not (tmp_path / "out" / "bm25").exists()
    searcher = Searcher.open(tmp_path / "out", encoder=WordHashes())
    assert searcher.search(["parcel"])[0][0].scores.keys() == {"dense"}
    with pytest.raises(ValueError, match="'bm25' needs terms"):
        searcher.search(["parcel"], by="bm25")


def test_a_part_that_was_not_opened_is_not_searched(folder: Path) -> None:
    searcher = Searcher.open(folder, by="bm25")  # opens no encoder
    assert searcher.encoder is None
    with pytest.raises(ValueError, match="was opened for 'bm25' only"):
        searcher.search(["x"], by="dense")


def test_another_encoder_and_one_that_has_gone_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="made by another model"):
        Searcher.open(folder, encoder=WordHashes(identity="other"))
    with pytest.raises(ValueError, match="is not recorded; give it"):
        Searcher.open(folder)
    with pytest.raises(FileNotFoundError, match=r"cannot be opened .* name it \(--encoder\)"):
        Searcher.open(folder, encoder=tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="no index of texts here"):
        Searcher.open(tmp_path)


@pytest.mark.parametrize(
    "file",
    ["rows.npy", "data.csc.index.npy", "vocab.index.json", "about.json", "params.index.json"],
)
def test_damaged_terms_are_named_and_made_anew(own: Path, file: str) -> None:
    place = own / "bm25" / file
    raw = place.read_bytes()
    for damaged in (raw[:-1], bytes([raw[0] ^ 1]) + raw[1:], b""):
        place.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged|not valid JSON|must hold"):
            Searcher.open(own, by="bm25")
    index_texts(Texts(path=own.parent / "notes"), own, Asked(encoder=WordHashes()))
    assert Searcher.open(own, by="bm25").search(["parcel"])[0]


def test_positions_beyond_the_arrays_are_refused_even_with_right_checksums(own: Path) -> None:
    """Files of an index may come from somebody else."""
    import zlib

    import numpy as np

    place = own / "bm25" / "indices.csc.index.npy"
    np.save(place, np.load(place) + 10_000)
    about = json.loads((own / "bm25" / "about.json").read_text())
    about["crc32"][place.name] = zlib.crc32(place.read_bytes())
    (own / "bm25" / "about.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="its arrays do not fit each other"):
        Searcher.open(own, by="bm25")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9}, "format 9, and this version reads 1"),
        ({"cutting": {"size": 0}}, "size: 0 is not at least 1"),
        ({"cutting": {"sice": 3}}, "is damaged"),
        ({"bm25": "yes"}, "bm25 is not of the type bool"),
    ],
)
def test_a_description_that_cannot_be_read_is_named(own: Path, change: Any, said: str) -> None:
    file = own / "search.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=said):
        Searcher.open(own)
