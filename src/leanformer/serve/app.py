"""The application: the routes that a folder can answer, and no others.

system that predicts        /predict
… of a pair's relevance     /predict, /rerank, /v1/rerank
system that embeds          /v1/embeddings
search index                /search
every folder                /v1/models /metrics /health /ready /openapi.json /
"""

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from leanformer.core.machine.threads import cores
from leanformer.core.version import __version__
from leanformer.serve.batching.batcher import Batcher
from leanformer.serve.bodies import Body, EmbeddingsBody, PredictBody, RerankBody, SearchBody
from leanformer.serve.description import describe, form_of
from leanformer.serve.errors import Refused
from leanformer.serve.following import Follower
from leanformer.serve.guard import Guard
from leanformer.serve.metrics import Metrics
from leanformer.serve.routes.embeddings import Embeddings, embeddings
from leanformer.serve.routes.models import ModelCard, ModelCards, model, models
from leanformer.serve.routes.operations import Status, health, metrics, ready
from leanformer.serve.routes.page import page
from leanformer.serve.routes.predict import Predictions, predict
from leanformer.serve.routes.rerank import Reranked, rerank
from leanformer.serve.routes.search import SearchResults, search
from leanformer.serve.served import Index, Model
from leanformer.serve.service import Service, answering
from leanformer.serve.settings import Settings

_COMPUTING: dict[str, tuple[tuple[str, ...], Any, type[Body], type[BaseModel]]] = {
    "predict": (("/predict",), predict, PredictBody, Predictions),
    "embeddings": (("/v1/embeddings",), embeddings, EmbeddingsBody, Embeddings),
    "rerank": (("/rerank", "/v1/rerank"), rerank, RerankBody, Reranked),
    "search": (("/search",), search, SearchBody, SearchResults),
}
_ASKED: tuple[tuple[str, Any, type[BaseModel] | None], ...] = (
    ("/v1/models", models, ModelCards),
    ("/v1/models/{model:path}", model, ModelCard),
    ("/health", health, Status),
    ("/ready", ready, Status),
    ("/metrics", metrics, None),
)
_PAGE = ("/", "/page.js", "/page.css")


def create_app(
    served: Model | Index, settings: Settings, *, keys: Sequence[str] = (), worker: str = ""
) -> Guard:
    """The ASGI application of an open folder.

    Args:
        served: The open folder.
        settings: The limits.
        keys: Valid API keys; none = every request is answered.
        worker: Name of this process in the metrics; "" = its number.
    """
    counts = Metrics(worker or str(os.getpid()))
    batcher = Batcher(
        served.answer,
        counts,
        batch_tokens=settings.shares(cores()).batch_tokens,
        queue_tokens=settings.queue_tokens,
        queue_seconds=settings.queue_seconds,
        concurrency=served.concurrency,
    )
    service = Service(served, batcher, settings, counts)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with _followed(served, settings):
            yield
        batcher.close()

    app = FastAPI(
        title=f"leanformer serves {served.name}",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    paths = [path for name in served.routes for path in _COMPUTING[name][0]]
    app.state.computing = paths
    _add_routes(app, service)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _not_there)
    app.add_exception_handler(Exception, _failed)
    guard = Guard(app, computing=paths, keys=keys, metrics=counts)
    guard.batcher = batcher
    app.state.guard = guard
    return guard


@contextmanager
def _followed(served: Model | Index, settings: Settings) -> Iterator[None]:
    """Let an index follow its folder within the block."""
    if not isinstance(served, Index):
        yield
        return
    follower = Follower(served, settings.refresh_seconds)
    follower.start()
    try:
        yield
    finally:
        follower.close()


def _add_routes(app: FastAPI, service: Service) -> None:
    for name in service.served.routes:
        paths, handler, form, answer = _COMPUTING[name]
        for path in paths:
            schema = form_of(form, service.served, service.settings)
            describe(app, path, "POST", answering(handler, service), form=schema, answer=answer)
    for path, handler, answers in _ASKED:
        describe(app, path, "GET", answering(handler, service), answer=answers)
    for path in _PAGE:
        app.add_api_route(path, answering(page, service), include_in_schema=False)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response()


async def _not_there(request: Request, error: Exception) -> Response:
    """A route or a method that does not exist, and what does."""
    assert isinstance(error, HTTPException)
    known = ", ".join(f"POST {path}" for path in request.app.state.computing)
    said = f"{request.method} {request.url.path}"
    if error.status_code == 404:
        message = f"{said}: there is no such route here; this server answers {known}"
    else:
        message = f"{said}: {error.detail}; this server answers {known}"
    return Refused(error.status_code, message, headers=error.headers or {}).response()


async def _failed(request: Request, error: Exception) -> Response:
    """A fault of the server; its log has the traceback."""
    return Refused(500, "the server failed to answer; its log says why").response()
