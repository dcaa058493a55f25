import asyncio
import os
import shutil

import pytest
from search_cases import Longest, WordHashes, write_notes

from leanformer.retrieve.searching import Asked, Searcher, Texts, index_texts
from leanformer.serve import Settings, open_served
from leanformer.serve.served import Index


def test_a_query_is_answered_with_passages(server):
    own = server("index")
    found = own.post("/search", {"query": "lazy dog", "k": 2}).json()
    assert found["model"] == "index"
    (one,) = found["results"]
    assert one["query"] == "lazy dog"
    assert [hit["key"] for hit in one["hits"]] == ["0", "1"]
    assert one["hits"][0] == {
        "key": "0", "score": 2.0, "text": "the lazy dog", "metadata": {"lang": "en"},
        "scores": {"fused": 1.0},
    }  # fmt: skip


def test_queries_of_many_requests_are_searched_for_as_each_asked(server):
    own = server("index")
    asked = [
        {"query": ["the fox", "my card"], "k": 1},
        {"query": "card", "k": 3, "by": "bm25"},
        {"query": "dog", "k": 1, "rerank": True, "where": {"lang": "en"}},
    ]

    async def ask():
        sent = [own.ask("POST", "/search", json=body) for body in asked * 5]
        return [one.json()["results"] for one in await asyncio.gather(*sent)]

    for body, results in zip(asked * 5, asyncio.run(ask()), strict=True):
        queries = body["query"] if isinstance(body["query"], list) else [body["query"]]
        for query, one in zip(queries, results, strict=True):
            assert one["query"] == query
            assert len(one["hits"]) == body["k"]
            assert query.split()[-1] in one["hits"][0]["text"]
    settings = {call[1:4] for call in own.served.searcher.calls}
    assert {(1, None, False), (3, "bm25", False), (1, None, True)} <= settings


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "query is missing"),
        ({"query": ""}, "query is empty"),
        ({"query": []}, "query is empty"),
        ({"query": 3}, "query: 3 is not a list of texts"),
        ({"query": "a", "k": 0}, "k: 0: input should be greater than or equal to 1"),
        ({"query": "a", "k": 501}, "k: 501 is more than 500"),
        ({"query": "a", "by": "magic"}, "by: 'magic': input should be"),
        ({"query": "a", "where": {"year": 3}}, "no passage has the field 'year'"),
        ({"query": "a", "where": [1]}, "where: [1]: input should be"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(server, refused, body, said):
    assert said in refused(server("index", max_hits=500).post("/search", body), 400)


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    place = tmp_path_factory.mktemp("search")
    written = Texts(path=write_notes(place / "notes"))
    index_texts(written, place / "both", Asked(encoder=WordHashes(), size=8, overlap=0))
    index_texts(written, place / "terms", Asked(size=8, overlap=0))
    return place


def test_a_real_index_is_served_as_its_searcher_answers(server, notes):
    searcher = Searcher.open(notes / "both", encoder=WordHashes(), reranker=Longest())
    own = server(served=Index(searcher, "notes"))
    queries = ["who pays for a parcel", "oxygen", "東京"]
    for more in ({}, {"by": "dense"}, {"by": "bm25", "k": 2}, {"rerank": True, "k": 3}):
        found = own.post("/search", {"query": queries, **more}).json()["results"]
        right = searcher.search(queries, **{"k": 10, **more})
        assert [[hit["key"] for hit in one["hits"]] for one in found] == [
            [hit.key for hit in one] for one in right
        ]
        assert [one["hits"][0]["scores"] for one in found if one["hits"]] == [
            pytest.approx(one[0].scores) for one in right if one
        ]
    (one,) = own.post("/search", {"query": "oxygen", "where": {"source": "x"}}).json()["results"]
    assert one["hits"] == []


def test_an_index_of_terms_says_what_it_lacks(server, refused, notes):
    own = server(served=open_served(notes / "terms", Settings(threads=1)))
    found = own.post("/search", {"query": "oxygen", "k": 1}).json()["results"]
    assert "oxygen" in found[0]["hits"][0]["text"].lower()
    assert "dense" in refused(own.post("/search", {"query": "a", "by": "dense"}), 400)
    response = own.post("/search", {"query": "a", "rerank": True})
    said = refused(response, 400)
    assert "the searcher has no reranker" in said
    assert "leanformer serve --reranker" in said


def test_a_damaged_store_is_a_fault_of_the_server(server, refused, notes, tmp_path):
    folder = shutil.copytree(notes / "terms", tmp_path / "terms")
    own = server(served=open_served(folder, Settings(threads=1)))
    (journal,) = folder.rglob("*.journal")
    with journal.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"?!?")
    said = refused(own.post("/search", {"query": "oxygen"}), 500)
    assert str(folder) not in said


def test_the_version_that_is_searched_is_told(server, notes, refused):
    searcher = Searcher.open(notes / "both", encoder=WordHashes())
    (card,) = server(served=Index(searcher, "notes")).get("/v1/models").json()["data"]
    assert (card["version"], card["passages"]) == (searcher.version, len(searcher))
