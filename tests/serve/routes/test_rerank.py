import pytest

DOCUMENTS = [
    "the film was slow",
    "jump",
    "the acting was wonderful and the answer is light",
    "jump",
]


@pytest.mark.parametrize("name", ["ranker", "regressor"])
@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
def test_documents_are_ordered_by_their_scores(server, name, path):
    own = server(name)
    body = {"query": "the film", "documents": DOCUMENTS, "return_documents": True}
    found = own.post(path, body).json()
    right = own.served.predictor.predict(["the film"] * 4, DOCUMENTS)
    scores = [one["relevance_score"] for one in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert sorted(one["index"] for one in found["results"]) == [0, 1, 2, 3]
    for one in found["results"]:
        assert one["relevance_score"] == pytest.approx(right[one["index"]], abs=1e-5)
        assert one["document"] == {"text": DOCUMENTS[one["index"]]}
    assert found["usage"]["total_tokens"] > 0


def test_documents_may_be_objects_and_results_few(server):
    body = {"query": "q", "documents": [{"text": "jump"}, "the film"], "top_n": 1}
    (only,) = server("ranker").post("/rerank", body).json()["results"]
    assert set(only) == {"index", "relevance_score"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"documents": ["a"]}, "query is missing"),
        ({"query": "", "documents": ["a"]}, "query is empty"),
        ({"query": ["q"], "documents": ["a"]}, "query is ['q'] (list), not a text"),
        ({"query": "q", "documents": []}, "documents is empty"),
        ({"query": "q", "documents": "a"}, "documents: 'a' is not a list of texts"),
        ({"query": "q", "documents": ["a", {"title": "b"}]}, "documents[1]: {'title': 'b'} is not"),
        ({"query": "q", "documents": [{"text": ""}]}, "documents[0] is empty"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n: 0: input should be greater"),
    ],
)
def test_what_cannot_be_reranked_is_refused(server, refused, body, said):
    assert said in refused(server("ranker").post("/rerank", body), 400)
