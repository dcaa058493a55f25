"""POST /predict: texts, or pairs of texts, answered in the words of the model's task."""

from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from leanformer.serve.batching.waiting import computed
from leanformer.serve.bodies import PredictBody, check_texts
from leanformer.serve.errors import Refused, json_response
from leanformer.serve.served import Model
from leanformer.serve.service import Service, prepared


class Usage(BaseModel):
    """What a request cost."""

    total_tokens: int
    """Tokens that the model read, special ones included."""


class Predictions(BaseModel):
    """One answer per text, in order; what it holds depends on the task."""

    model: str
    task: str
    answers: list[dict[str, Any]]
    usage: Usage


async def predict(service: Service, request: Request) -> Response:
    """Answer each text: its label and score, labels, number, spans or perplexity."""
    body, ends = await service.read(request, PredictBody)
    model, settings = service.served, service.settings
    assert isinstance(model, Model)
    texts = check_texts(body.texts, "texts", settings)
    pairs = None if body.pairs is None else check_texts(body.pairs, "pairs", settings)
    if pairs is not None and len(pairs) != len(texts):
        raise Refused(
            400, f"pairs: {len(pairs)} for {len(texts)} texts; give as many", param="pairs"
        )
    given = await prepared(
        [*texts, *(pairs or ())], lambda: model.prepare(texts, pairs, truncate=body.truncate)
    )
    tokens = [one.tokens for one in given]
    answers = await computed(request, service.batcher, given, tokens, ends)
    return json_response(
        {
            "model": model.name,
            "task": model.task,
            "answers": answers,
            "usage": {"total_tokens": sum(tokens)},
        }
    )
