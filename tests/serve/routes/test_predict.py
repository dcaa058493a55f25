import pytest
from runtime_samples import TEXTS


def test_texts_are_answered_as_the_predictor_answers_them(server):
    own = server()
    found = own.post("/predict", {"texts": list(TEXTS), "model": "classifier"})
    assert found.status_code == 200
    body, predictor = found.json(), own.served.predictor
    right = [predictor.about.plain(one) for one in predictor.predict(TEXTS)]
    assert [one["label"] for one in body["answers"]] == [one["label"] for one in right]
    for ours, theirs in zip(body["answers"], right, strict=True):
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-6)
    assert body["usage"]["total_tokens"] == sum(predictor.lengths(TEXTS))
    assert (body["model"], body["task"]) == ("classifier", "classification")


def test_pairs_are_answered_together(server, refused):
    own = server("regressor")
    body = {"texts": ["the film", "jump"], "pairs": ["the acting", "the bowl"]}
    answers = own.post("/predict", body).json()["answers"]
    right = own.served.predictor.predict(body["texts"], body["pairs"])
    values = [next(iter(one.values())) for one in answers]
    assert values == pytest.approx(right, abs=1e-5)
    assert "give the second ones" in refused(own.post("/predict", {"texts": ["a"]}), 400)
    assert "1 for 2 texts" in refused(own.post("/predict", {**body, "pairs": ["a"]}), 400)
    response = own.post("/predict", {**body, "pairs": ["a", ""]})
    assert "pairs[1] is empty" in refused(response, 400)
    assert response.json()["error"]["param"] == "pairs[1]"


def test_spans_are_answered_with_their_characters(server):
    answers = (
        server("tagger").post("/predict", {"texts": ["the film", "🎉 jump"]}).json()["answers"]
    )
    assert [list(one) for one in answers] == [["spans"], ["spans"]]
    for one in answers:
        assert all({"start", "end", "label", "score"} <= set(span) for span in one["spans"])


def test_long_texts_are_cut_or_refused(server, refused):
    own, long = server(), "the film was slow " * 400
    assert own.post("/predict", {"texts": [long]}).json()["usage"]["total_tokens"] == 32
    response = own.post("/predict", {"texts": ["jump", long], "truncate": False})
    assert "texts[1] is longer than the 32 tokens" in refused(response, 400)
    assert response.json()["error"]["param"] == "texts[1]"


def test_another_model_is_not_served(server, refused):
    response = server().post("/predict", {"texts": ["jump"], "model": "gpt"})
    assert "'gpt' is not served here; this server has 'classifier'" in refused(response, 404)
