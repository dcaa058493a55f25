"""POST /v1/embeddings: vectors of texts, in the form of OpenAI's clients.

A shorter vector is the first coordinates of the whole one, brought to length one again where the
whole one has it; it is given only where the model was trained for that (Matryoshka).
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from leanformer.core.shown import shown
from leanformer.serve.batching.waiting import computed
from leanformer.serve.bodies import EmbeddingsBody, check_text, check_texts
from leanformer.serve.errors import Refused, json_response
from leanformer.serve.served import Model
from leanformer.serve.service import Service, prepared
from leanformer.serve.settings import Settings

_UNIT = 1e-3  # how far from one the length of a normalized vector may be


class EmbeddingUsage(BaseModel):
    """What a request cost, in tokens."""

    prompt_tokens: int
    total_tokens: int


class Embedding(BaseModel):
    """The vector of one text."""

    object: str
    index: int
    embedding: list[float] | str


class Embeddings(BaseModel):
    """The vectors of a request, in the order of its texts."""

    object: str
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


async def embeddings(service: Service, request: Request) -> Response:
    """Embed each text."""
    body, ends = await service.read(request, EmbeddingsBody)
    model = service.served
    assert isinstance(model, Model)
    texts = _texts(body.input, service.settings)
    width = body.dimensions or model.widths[-1]
    if width not in model.widths:
        raise Refused(400, _other_widths(width, model.widths), param="dimensions")
    given = await prepared(texts, lambda: model.prepare(texts))
    tokens = [one.tokens for one in given]
    vectors = await computed(request, service.batcher, given, tokens, ends)
    written = _base64 if body.encoding_format == "base64" else _numbers
    data = [
        {"object": "embedding", "index": index, "embedding": written(cut(vector, width))}
        for index, vector in enumerate(vectors)
    ]
    used = sum(tokens)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return json_response({"object": "list", "data": data, "model": model.name, "usage": usage})


def cut(vector_D: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The first `width` coordinates; of length one where the whole vector has it."""
    if width == len(vector_D):
        return vector_D
    part, length = vector_D[:width], float(np.linalg.norm(vector_D))
    if abs(length - 1) > _UNIT:
        return part
    return part / max(float(np.linalg.norm(part)), 1e-12)


def _texts(given: Any, settings: Settings) -> list[str]:
    """The texts of `input`: a text, or a list of them; lists of token ids are refused."""
    if isinstance(given, str):
        return [check_text(given, "input", settings)]
    first = given[0] if isinstance(given, list) and given else None
    if isinstance(first, int | list) and not isinstance(first, bool):
        raise Refused(
            400,
            f"input: {shown(given)} is token ids, which belong to another tokenizer; send the text "
            "itself (in LangChain: check_embedding_ctx_length=False)",
            param="input",
            code="token_ids",
        )
    return check_texts(given, "input", settings)


def _other_widths(width: int, known: tuple[int, ...]) -> str:
    if len(known) == 1:
        return (
            f"dimensions: {width} is not {known[0]}, the width of this model's vectors, which was "
            "not trained for shorter ones (Matryoshka); leave dimensions out"
        )
    return f"dimensions: {width} is not one of {', '.join(map(str, known))}"


def _numbers(vector_D: NDArray[np.float32]) -> list[float]:
    return vector_D.tolist()


def _base64(vector_D: NDArray[np.float32]) -> str:
    return base64.b64encode(vector_D.astype("<f4").tobytes()).decode()
