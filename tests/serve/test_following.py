"""A served index while its store is written to: every answer is of one version, none is an error."""

import asyncio
import shutil
import threading
import time

import pytest
from search_cases import WordHashes, write_notes

from leanformer.retrieve.searching import Asked, Searcher, Texts, index_texts
from leanformer.retrieve.store import VectorStore
from leanformer.serve.following import Follower
from leanformer.serve.served import Index

ROUNDS = 15


def twins(number):
    """Two passages that are added and deleted in one commit."""
    return [f"{side}{number}" for side in ("left", "right")]


def add(store, number):
    texts = [f"a courier named {one} rides" for one in twins(number)]
    records = [{"text": text, "metadata": {"source": "street"}} for text in texts]
    store.add(twins(number), WordHashes().encode(texts), records)


@pytest.fixture
def folder(tmp_path):
    notes = write_notes(tmp_path / "notes")
    index_texts(Texts(path=notes), tmp_path / "out", Asked(encoder=WordHashes(), size=8, overlap=0))
    return tmp_path / "out"


@pytest.fixture
def index(folder):
    return Index(Searcher.open(folder, encoder=WordHashes()), "notes")


def test_eight_clients_search_while_passages_come_and_go(server, folder, index):
    own, ended = server(served=index, queue_tokens=10**6, queue_seconds=60), threading.Event()
    seen, began = set(), index.searcher.version

    def write():
        with VectorStore.open(folder / "store", write=True) as store:
            for number in range(ROUNDS):
                add(store, number)
                if number:
                    store.delete(twins(number - 1))
                if number == ROUNDS // 2:
                    store.compact()
                time.sleep(0.02)

    def check(response):
        assert response.status_code == 200, response.text
        (one,) = response.json()["results"]
        found = [hit for hit in one["hits"] if hit["metadata"]["source"] == "street"]
        names = {hit["key"] for hit in found}
        assert all(set(twins(n)) & names in (set(), set(twins(n))) for n in range(ROUNDS))
        assert all(hit["scores"].keys() == {"bm25", "dense", "fused"} for hit in found)
        seen.update(names)

    async def client():
        while not ended.is_set():
            check(await own.ask("POST", "/search", json={"query": "courier", "k": 100}))

    async def all_of_them():
        clients = asyncio.gather(*(client() for _ in range(8)))
        await asyncio.to_thread(write)
        while set(twins(ROUNDS - 1)) - seen and not clients.done():
            await asyncio.sleep(0.02)
        ended.set()
        await clients

    follower = Follower(index, 0.01)
    follower.start()
    asyncio.run(asyncio.wait_for(all_of_them(), 300))
    follower.close()
    index.follow()
    assert index.searcher.version > began
    found = own.post("/search", {"query": "courier", "k": 100}).json()["results"][0]["hits"]
    street = {hit["key"] for hit in found if hit["metadata"]["source"] == "street"}
    assert street == set(twins(ROUNDS - 1))


def test_a_damaged_version_is_logged_once_and_the_former_one_is_served_on(
    server, folder, index, caplog
):
    own, version = server(served=index), index.searcher.version
    body = {"query": "oxygen", "k": 3}
    before = own.post("/search", body).json()
    assert not index.follow()
    manifest, kept = folder / "store" / "manifest.json", folder.parent / "manifest.json"
    with VectorStore.open(folder / "store", write=True) as store:
        add(store, 1)
    shutil.copy(manifest, kept)
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows"', b'"sour"') + b" ")
    assert [index.follow(), index.follow()] == [False, False]
    assert caplog.text.count("notes is served on in its former version") == 1
    assert "manifest.json" in caplog.text
    assert own.post("/search", body).json() == before
    assert own.get("/v1/models").json()["data"][0]["version"] == version
    shutil.copy(kept, manifest)
    assert index.follow()
    assert own.get("/v1/models").json()["data"][0]["version"] == version + 1


def test_an_index_that_was_made_anew_in_another_way_is_not_followed(folder, index, caplog):
    before = len(index.searcher)
    shutil.rmtree(folder)
    index_texts(Texts(path=folder.parent / "notes"), folder, Asked(size=8, overlap=0))
    assert not index.follow()
    assert "was made anew: identity was 'word-hashes' and is ''; open it again" in caplog.text
    assert len(index.searcher) == before


def test_nothing_is_followed_where_the_seconds_are_none(index):
    follower = Follower(index, 0)
    follower.start()
    follower.close()
    assert not follower._thread.is_alive()
