import asyncio

import pytest


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
    assert {(1, "fused", False), (3, "bm25", False), (1, "fused", True)} <= settings


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
