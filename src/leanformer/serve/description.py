"""How routes are described at /openapi.json: forms of requests, of answers and of errors."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from leanformer.serve.bodies import Body
from leanformer.serve.served import Index, Model
from leanformer.serve.settings import Settings


class ErrorDetail(BaseModel):
    """What is wrong, where, and the way out."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """An error in OpenAI's form."""

    error: ErrorDetail


_ERRORS = {
    400: "The body is not what this route takes; the message names the place.",
    401: "The API key is missing or not valid.",
    404: "The model is not served here.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The header Content-Type: application/json is missing, or says something else.",
    429: "The queue is full; Retry-After says when to come back.",
    500: "The server failed.",
    503: "The server stops, or had no time to begin.",
    504: "The time limit passed.",
}
_OF_ALL = (401, 500, 503)


def describe(
    app: FastAPI,
    path: str,
    method: str,
    route: Callable[..., Any],
    *,
    form: dict[str, Any] | None = None,
    answer: type[BaseModel] | None = None,
) -> None:
    """Add a route with its description.

    Args:
        app: The application.
        path: Its path.
        method: Its method.
        route: What answers.
        form: The schema of its body; None = it has none.
        answer: The form of its answer; None = plain text.
    """
    codes = tuple(_ERRORS) if form is not None else (*_OF_ALL, *((404,) if "{" in path else ()))
    responses: dict[int | str, dict[str, Any]] = {
        code: {"model": ErrorAnswer, "description": _ERRORS[code]} for code in codes
    }
    extra: dict[str, Any] = {}
    if form is not None:
        content = {"application/json": {"schema": form}}
        extra["requestBody"] = {"required": True, "content": content}
    if "{" in path:
        name = path.rpartition("{")[2].partition(":")[0].rstrip("}")
        schema = {"type": "string", "minLength": 1}
        extra["parameters"] = [{"name": name, "in": "path", "required": True, "schema": schema}]
    if answer is None:
        responses[200] = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    else:
        responses[200] = {"model": answer}
    app.add_api_route(
        path, route, methods=[method], response_model=None, responses=responses, openapi_extra=extra
    )


def form_of(form: type[Body], served: Model | Index, settings: Settings) -> dict[str, Any]:
    """The schema of a body, with the limits of this server and what its folder asks for."""
    schema = form.model_json_schema()
    assert "$defs" not in schema, f"{form.__name__} refers to other forms"
    fields = schema["properties"]
    fields["model"]["anyOf"][0] = {"const": served.name}
    if "pairs" in fields:
        assert isinstance(served, Model)
        pairs = fields.pop("pairs")
        if served.pairs:
            fields["pairs"] = {**pairs["anyOf"][0], "description": pairs["description"]}
            schema["required"] = ["texts", "pairs"]
    if "dimensions" in fields:
        assert isinstance(served, Model)
        fields["dimensions"]["anyOf"][0] = {"enum": list(served.widths)}
    _limit(schema, settings)
    return schema


def _limit(schema: Any, settings: Settings) -> None:
    """Write how many texts, and of how many characters, into each list of texts and each text."""
    if isinstance(schema, list):
        for one in schema:
            _limit(one, settings)
    elif isinstance(schema, dict):
        if "pattern" in schema:
            schema["maxLength"] = settings.max_characters
        if "minItems" in schema:
            schema["maxItems"] = settings.max_texts
        for one in list(schema.values()):
            _limit(one, settings)
