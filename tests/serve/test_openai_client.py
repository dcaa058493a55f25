"""The `openai` package against a server in this process."""

import asyncio

import httpx
import numpy as np
import pytest

openai = pytest.importorskip("openai")
TEXTS = ["the film was slow", "jump"]


@pytest.fixture
def client(server):
    def make(key="secret", **settings):
        own = server("embedder", keys=("secret",), **settings)
        transport = httpx.ASGITransport(own.guard, raise_app_exceptions=False)
        return own, openai.AsyncOpenAI(
            api_key=key,
            base_url="http://test/v1",
            max_retries=0,
            http_client=httpx.AsyncClient(transport=transport),
        )

    return make


def test_vectors_models_and_usage(client):
    own, asked = client()

    async def ask():
        whole = await asked.embeddings.create(input=TEXTS, model="embedder")
        plain = await asked.embeddings.create(
            input=TEXTS[0], model="embedder", encoding_format="float", dimensions=8
        )
        models = [one async for one in asked.models.list()]
        return whole, plain, models, await asked.models.retrieve("embedder")

    whole, plain, models, card = asyncio.run(ask())
    right = own.served.predictor.encode(TEXTS)
    found = np.array([one.embedding for one in whole.data])
    np.testing.assert_allclose(found, right, atol=1e-6)
    assert whole.usage.total_tokens == sum(own.served.predictor.lengths(TEXTS))
    assert len(plain.data[0].embedding) == 8
    assert [one.id for one in models] == [card.id] == ["embedder"]


def test_errors_are_those_that_its_users_catch(client):
    own, asked = client()
    _, stranger = client(key="other")

    def error(call):
        with pytest.raises(openai.OpenAIError) as raised:
            asyncio.run(call)
        return raised.value

    wrong = error(asked.embeddings.create(input=["a", ""], model="embedder"))
    assert isinstance(wrong, openai.BadRequestError)
    assert "input[1] is empty" in wrong.message
    assert wrong.param == "input[1]"
    tokens = error(asked.embeddings.create(input=[1, 2], model="embedder"))
    assert (tokens.status_code, tokens.code) == (400, "token_ids")
    missing = error(asked.embeddings.create(input="a", model="gpt"))
    assert isinstance(missing, openai.NotFoundError)
    denied = error(stranger.embeddings.create(input="a", model="embedder"))
    assert isinstance(denied, openai.AuthenticationError)
    own.guard.batcher._tokens = own.guard.batcher.queue_tokens
    busy = error(asked.embeddings.create(input="a", model="embedder"))
    assert isinstance(busy, openai.RateLimitError)
