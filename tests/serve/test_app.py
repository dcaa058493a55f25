"""Which routes exist, what they answer, and 64 clients at a time."""

import asyncio
import random

import pytest
from runtime_samples import TEXTS

ROUTES = {
    "classifier": {"/predict"},
    "tagger": {"/predict"},
    "embedder": {"/v1/embeddings"},
    "regressor": {"/predict", "/rerank", "/v1/rerank"},
    "ranker": {"/predict", "/rerank", "/v1/rerank"},
    "index": {"/search"},
}
POSTED = set().union(*ROUTES.values())


@pytest.mark.parametrize("name", ROUTES)
def test_a_folder_has_the_routes_that_it_can_answer(server, refused, name):
    own = server(name)
    described = own.get("/openapi.json").json()["paths"]
    assert {path for path, methods in described.items() if "post" in methods} == ROUTES[name]
    assert set(own.get("/v1/models").json()["data"][0]["routes"]) == ROUTES[name]
    for path in POSTED - ROUTES[name]:
        message = refused(own.post(path, {}), 404)
        assert all(f"POST {one}" in message for one in ROUTES[name])
    for path in ROUTES[name]:
        response = own.get(path)
        assert "Method Not Allowed" in refused(response, 405)
        assert response.headers["allow"] == "POST"


def test_a_fault_of_the_server_is_told_in_the_form_of_errors(server, refused, monkeypatch):
    own = server()
    monkeypatch.setattr(own.guard.batcher, "_answer", lambda group, given: 1 / 0)
    assert "the server failed" in refused(own.post("/predict", {"texts": ["jump"]}), 500)
    text = own.get("/metrics").text
    assert 'leanformer_requests_total{worker="w",route="/predict",status="500"} 1' in text


def test_other_protocols_are_passed_on(server):
    own, sent = server(), []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    asyncio.run(own.guard({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert sent[0]["type"] == "websocket.close"


def test_64_clients_get_their_own_answers(server):
    """Mixed lengths, several texts per request, some requests wrong: each as one thread answers."""
    own, rng = server(batch_tokens=256, queue_seconds=600, seconds=600), random.Random(0)
    texts = [" ".join(rng.choices(" ".join(TEXTS).split(), k=k)) for k in (1, 2, 5, 9, 17, 40)]
    right = {
        text: own.served.predictor.about.plain(own.served.predictor.predict([text])[0])
        for text in texts
    }
    assert len({str(one) for one in right.values()}) > 3

    async def client(number):
        own_choice = random.Random(number)
        for _ in range(4):
            asked = own_choice.choices(texts, k=own_choice.randint(1, 6))
            if own_choice.random() < 0.1:
                response = await own.ask("POST", "/predict", json={"texts": [*asked, ""]})
                assert response.status_code == 400
                continue
            response = await own.ask("POST", "/predict", json={"texts": asked})
            assert response.status_code == 200, response.text
            answers = response.json()["answers"]
            assert [one["label"] for one in answers] == [right[text]["label"] for text in asked]
            for one, text in zip(answers, asked, strict=True):
                assert one["score"] == pytest.approx(right[text]["score"], abs=1e-5)

    async def all_of_them():
        await asyncio.gather(*(client(number) for number in range(64)))

    asyncio.run(all_of_them())
    text = own.get("/metrics").text
    batches = int(text.split('leanformer_batch_texts_count{worker="w"} ')[1].split()[0])
    computed = int(text.split('leanformer_texts_total{worker="w"} ')[1].split()[0])
    assert computed > 2 * batches
