import asyncio
import threading

import httpx

from leanformer.serve.served import Model


def test_a_key_is_asked_for_everywhere_but_where_health_is(server, refused):
    own = server(keys=("secret",))
    for path in ("/health", "/ready", "/", "/page.js"):
        assert own.get(path).status_code == 200
    for path in ("/v1/models", "/metrics", "/openapi.json", "/nothing"):
        response = own.get(path)
        assert "API key is missing" in refused(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
    assert refused(own.post("/predict", {"texts": ["jump"]}), 401)
    wrong = own.post("/predict", {"texts": ["jump"]}, headers={"authorization": "Bearer x"})
    assert "is not valid" in refused(wrong, 401)
    right = {"authorization": "Bearer secret"}
    assert own.post("/predict", {"texts": ["jump"]}, headers=right).status_code == 200


def test_an_application_that_is_mounted_elsewhere_has_the_same_open_routes(server):
    guard = server(keys=("secret",)).guard

    async def ask(path):
        transport = httpx.ASGITransport(guard, root_path="/llm")
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(f"/llm{path}")

    for path in ("/health", "/", "/page.js"):
        assert asyncio.run(ask(path)).status_code == 200
    for path in ("/metrics", "health", "/llm/health", ""):
        assert asyncio.run(ask(path)).status_code == 401


def test_a_server_that_stops_refuses_new_requests_and_stays_alive(server, refused):
    own = server()
    own.guard.stopping = True
    response = own.post("/predict", {"texts": ["jump"]})
    assert "is stopping" in refused(response, 503)
    assert response.headers["connection"] == "close"
    assert response.headers["retry-after"]
    assert "is stopping" in refused(own.get("/ready"), 503)
    assert own.get("/health").status_code == 200
    assert own.get("/metrics").status_code == 200


class Held(Model):
    """A model that computes when it is let."""

    def __init__(self, model):
        super().__init__(model.predictor, model.name)
        self.go, self.entered = threading.Event(), threading.Event()

    def answer(self, group, given):
        self.entered.set()
        assert self.go.wait(60)
        return super().answer(group, given)


def test_a_full_queue_answers_429_and_is_counted(server, opened, refused):
    held = Held(opened("classifier"))
    own = server(served=held, queue_tokens=8)

    async def ask():
        def send(text):
            return asyncio.ensure_future(own.ask("POST", "/predict", json={"texts": [text]}))

        first = send("jump")
        await asyncio.to_thread(held.entered.wait, 60)
        second = send("the film was slow and the acting was wonderful")
        while not own.guard.batcher.full:
            await asyncio.sleep(0.01)
        third, invalid = await send("jump"), await own.ask("POST", "/predict", content=b"{")
        held.go.set()
        return await first, await second, third, invalid

    first, second, third, invalid = asyncio.run(ask())
    assert [first.status_code, second.status_code] == [200, 200]
    assert "the queue is full; try again in" in refused(third, 429)
    assert int(third.headers["retry-after"]) >= 1
    assert invalid.status_code == 429  # its body is not even read
    text = own.get("/metrics").text
    assert 'leanformer_requests_total{worker="w",route="/predict",status="429"} 2' in text
    assert 'leanformer_requests_total{worker="w",route="/predict",status="200"} 2' in text


def test_times_that_pass_and_clients_that_leave(server, opened, refused):
    """504 for what was begun, 503 for what was not; what had not begun is never computed."""
    held = Held(opened("classifier"))
    own = server(served=held, seconds=0.3)
    computed = []
    answer = held.answer
    own.guard.batcher._answer = lambda group, given: (
        computed.extend(one.text for one in given) or answer(group, given)
    )

    async def ask():
        def send(text):
            return asyncio.ensure_future(own.ask("POST", "/predict", json={"texts": [text]}))

        first = send("jump")
        await asyncio.to_thread(held.entered.wait, 60)
        second = send("the bowl of rice")
        both = await first, await second
        ready = await own.ask("GET", "/ready")
        held.go.set()
        return *both, ready

    first, second, ready = asyncio.run(ask())
    assert "while this was computed" in refused(first, 504)
    assert "before this was begun" in refused(second, 503)
    assert "a batch has been computed for" in refused(ready, 503)
    assert computed == ["jump"]
