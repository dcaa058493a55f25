"""Tiny folders of each task, their applications in this process, and a stand-in for an index."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import httpx
import pytest
from runtime_samples import LABELS, plain_folder

from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.serve import Settings, create_app, open_served
from leanformer.serve.served import Index


@dataclass(frozen=True)
class Hit:
    key: str
    score: float
    text: str
    metadata: dict = field(default_factory=dict)
    scores: dict = field(default_factory=dict)


class Searcher:
    """Answers each query with the passages that share the most words with it; counts its calls."""

    passages = ("the lazy dog", "the quick fox", "my card was charged")
    version, outdated = 1, False

    def __init__(self):
        self.calls = []

    def __len__(self):
        return len(self.passages)

    def search(self, queries, k=10, *, by=None, rerank=False, where=None):
        self.calls.append((tuple(queries), k, by, rerank, where))
        if where and set(where) - {"lang"}:
            raise ValueError(f"where: no passage has the field {next(iter(where))!r}")
        found = []
        for query in queries:
            words = set(query.split())
            hits = [
                Hit(str(place), float(len(words & set(text.split()))), text, {"lang": "en"},
                    {by or "fused": 1.0})
                for place, text in enumerate(self.passages)
            ]  # fmt: skip
            found.append(sorted(hits, key=lambda hit: -hit.score)[:k])
        return found


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A folder of each task, by its name."""
    place = tmp_path_factory.mktemp("served")
    plain_folder(place / "classifier")
    plain_folder(place / "embedder", kind="embedding", labels=())
    plain_folder(place / "regressor", kind="regression", labels=(), pairs=True)
    plain_folder(place / "tagger", kind="tokens", labels=LABELS)
    model, tokenizer = tiny_model("bert", head="classification", num_labels=1)
    save_model(model, tokenizer, place / "ranker")
    write_manifest(place / "ranker", Manifest(kind="ranking", max_length=32, pairs=True))
    return {one.name: one for one in place.iterdir()}


@pytest.fixture(scope="session")
def opened(folders):
    """The open folder of a name, opened once, with its widths."""
    known = {"index": Index(Searcher(), "index")}

    def get(name):
        if name not in known:
            dimensions = (8, 16) if name == "embedder" else ()
            known[name] = open_served(folders[name], Settings(threads=1, dimensions=dimensions))
        return known[name]

    return get


@pytest.fixture
def server(opened):
    """`server(name, **settings)`: an application in this process, and a way to ask it."""
    guards = []

    def make(name="classifier", served=None, keys=(), **settings):
        guard = create_app(served or opened(name), Settings(**settings), keys=keys, worker="w")
        guards.append(guard)

        async def ask(method, path, **more):
            transport = httpx.ASGITransport(guard, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **more)

        return SimpleNamespace(
            guard=guard,
            served=served or opened(name),
            ask=ask,
            get=lambda path, **more: asyncio.run(ask("GET", path, **more)),
            post=lambda path, body, **more: asyncio.run(ask("POST", path, json=body, **more)),
            raw=lambda path, content, kind="application/json": asyncio.run(
                ask("POST", path, content=content, headers={"content-type": kind})
            ),
        )

    yield make
    for guard in guards:
        guard.batcher.close()


@pytest.fixture
def refused():
    """Asserts that an answer is an error in OpenAI's form, and gives its message."""

    def check(response, status):
        assert response.status_code == status, response.text
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error["message"]

    return check
