"""POST /search: the passages that answer each query, with their scores."""

import json
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from leanformer.serve.batching.waiting import computed
from leanformer.serve.bodies import SearchBody, check_text, check_texts
from leanformer.serve.errors import Refused, json_response
from leanformer.serve.served import Asked, Index
from leanformer.serve.service import Service


class Hit(BaseModel):
    """A passage, the score by which it was ordered, and the scores of each way to find it."""

    key: str
    score: float
    text: str
    metadata: dict[str, Any]
    scores: dict[str, float]


class Found(BaseModel):
    """The hits of one query, the best first."""

    query: str
    hits: list[Hit]


class SearchResults(BaseModel):
    """One result per query, in order."""

    model: str
    results: list[Found]


async def search(service: Service, request: Request) -> Response:
    """Find passages for each query."""
    body, ends = await service.read(request, SearchBody)
    index, settings = service.served, service.settings
    assert isinstance(index, Index)
    if isinstance(body.query, str):
        queries = [check_text(body.query, "query", settings)]
    else:
        queries = check_texts(body.query, "query", settings)
    if body.k > settings.max_hits:
        raise Refused(
            400, f"k: {body.k} is more than {settings.max_hits}, the limit per query", param="k"
        )
    where = json.dumps(body.where, sort_keys=True)
    asked = Asked(body.k, body.by, body.rerank, where)
    tokens = index.lengths(queries)
    found = await computed(request, service.batcher, queries, tokens, ends, asked)
    results = [
        {"query": query, "hits": [asdict(hit) for hit in hits]}
        for query, hits in zip(queries, found, strict=True)
    ]
    return json_response({"model": index.name, "results": results})
