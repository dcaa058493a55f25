"""POST /rerank: documents ordered by how well they answer a query, in Cohere's and Jina's form."""

from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from leanformer.core.shown import shown
from leanformer.serve.batching.waiting import computed
from leanformer.serve.bodies import RerankBody, check_text, check_texts
from leanformer.serve.errors import Refused, json_response
from leanformer.serve.routes.predict import Usage
from leanformer.serve.served import Model
from leanformer.serve.service import Service, prepared


class Document(BaseModel):
    """A document as it was sent."""

    text: str


class Result(BaseModel):
    """A document's score, and its place in the request."""

    index: int
    relevance_score: float
    document: Document | None = None


class Reranked(BaseModel):
    """Results, the best first; of equal scores, the one that was sent first."""

    model: str
    results: list[Result]
    usage: Usage


async def rerank(service: Service, request: Request) -> Response:
    """Score each document for the query, and order them."""
    body, ends = await service.read(request, RerankBody)
    model, settings = service.served, service.settings
    assert isinstance(model, Model)
    query = check_text(body.query, "query", settings)
    documents = check_texts(_texts(body.documents), "documents", settings)
    queries = [query] * len(documents)
    given = await prepared([*queries, *documents], lambda: model.prepare(queries, documents))
    tokens = [one.tokens for one in given]
    answers = await computed(request, service.batcher, given, tokens, ends)
    scores = [_score(answer) for answer in answers]
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    results = [
        {
            "index": index,
            "relevance_score": scores[index],
            **({"document": {"text": documents[index]}} if body.return_documents else {}),
        }
        for index in order[: body.top_n]
    ]
    usage = {"total_tokens": sum(tokens)}
    return json_response({"model": model.name, "results": results, "usage": usage})


def _score(answer: dict[str, Any]) -> float:
    (score,) = (value for name, value in answer.items() if name != "source")
    return float(score)


def _texts(documents: Any) -> Any:
    """Documents as texts; `check_texts` refuses what is not a list of texts."""
    if not isinstance(documents, list):
        return documents
    texts = []
    for index, one in enumerate(documents):
        if isinstance(one, dict):
            if [*one] != ["text"]:
                raise Refused(
                    400,
                    f'documents[{index}]: {shown(one)} is not {{"text": …}}',
                    param=f"documents[{index}]",
                )
            one = one["text"]
        texts.append(one)
    return texts
