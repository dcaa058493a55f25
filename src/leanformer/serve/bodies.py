"""The forms of requests, and how a body is read: bounded, on time, checked down to each text.

A body that is too large is read on and dropped, up to four times the limit: a client that is still
sending would see a broken connection instead of the refusal. Messages name the place:
`texts[3] is empty`.
"""

import asyncio
import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from starlette.requests import ClientDisconnect, Request

from leanformer.core.shown import one_line, shown
from leanformer.serve.errors import Refused
from leanformer.serve.settings import Settings
from leanformer.text.texts import refusal

_DROPPED = 4  # times the limit
_DIGITS = 20  # of a length that is looked at: Python converts no number of thousands
_SURROGATE = re.compile("[\ud800-\udfff]")
_TEXT = {"type": "string", "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}
_DOCUMENT = {
    "type": "object",
    "properties": {"text": _TEXT},
    "required": ["text"],
    "additionalProperties": False,
}

Text = Annotated[Any, WithJsonSchema(_TEXT)]
Texts = Annotated[Any, WithJsonSchema(_TEXTS)]
OneOrMore = Annotated[Any, WithJsonSchema({"anyOf": [_TEXT, _TEXTS]})]
Documents = Annotated[
    Any,
    WithJsonSchema({"type": "array", "items": {"anyOf": [_TEXT, _DOCUMENT]}, "minItems": 1}),
]


class Body(BaseModel):
    """A request's JSON; a field that is not named here is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PredictBody(Body):
    """Texts to be answered in the words of the model's task."""

    texts: Texts = Field(description="The texts.")
    pairs: Annotated[Any, WithJsonSchema({"anyOf": [_TEXTS, {"type": "null"}]})] = Field(
        None, description="Their second texts, for a model that compares two."
    )
    model: str | None = Field(None, description="The model's name; it may be left out.")
    truncate: bool = Field(True, description="Cut long texts; false refuses them.")


class EmbeddingsBody(Body):
    """Texts to be embedded, in OpenAI's form."""

    input: OneOrMore = Field(description="A text, or a list of texts.")
    model: str | None = Field(None, description="The model's name; it may be left out.")
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="Numbers, or little-endian float32 in base64."
    )
    dimensions: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Width of the vectors, where the model was trained for it."
    )
    user: str | None = Field(None, description="Accepted for OpenAI's clients, and not used.")


class RerankBody(Body):
    """A query and documents to be ordered, in Cohere's and Jina's form."""

    query: Text = Field(description="The query.")
    documents: Documents = Field(description='Texts, or objects {"text": …}.')
    model: str | None = Field(None, description="The model's name; it may be left out.")
    top_n: Annotated[int, Field(ge=1)] | None = Field(None, description="Results; null = all.")
    return_documents: bool = Field(False, description="Whether results hold the documents.")


class SearchBody(Body):
    """Queries to be searched for."""

    query: OneOrMore = Field(description="A query, or a list of queries.")
    k: Annotated[int, Field(ge=1, le=1000)] = Field(10, description="Hits per query.")
    by: Literal["fused", "dense", "bm25"] | None = Field(
        None, description="How passages are found; null = by all that the index holds."
    )
    rerank: bool = Field(False, description="Whether a cross-encoder orders the hits.")
    where: dict[str, Any] | None = Field(None, description="Filter on the passages' metadata.")
    model: str | None = Field(None, description="The index's name; it may be left out.")


Form = TypeVar("Form", bound=Body)


async def read_form(request: Request, form: type[Form], settings: Settings, ends: float) -> Form:
    """The body of a request, read and checked.

    Args:
        request: The request.
        form: What it must be.
        settings: The limits.
        ends: When the request's time is up, by the event loop's clock.

    Raises:
        Refused: It is not declared as JSON, not JSON, not of the form, too large or too slow.
    """
    _check_declared(request)
    body = await _read(request, settings.max_body_bytes, ends)
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        raise _refused(error) from None


def _check_declared(request: Request) -> None:
    """Refuse a body that is not declared as JSON, also because browsers let every page send others
    to this server without asking it first (CORS)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind.lower() == "application/json":
        return
    said = f"content-type: {shown(kind)} is not application/json" if kind else "no content-type"
    raise Refused(
        415,
        f"{said}; send JSON with the header Content-Type: application/json",
        code="unsupported_media_type",
    )


async def _read(request: Request, most: int, ends: float) -> bytes:
    """The bytes of a body, at most `most`."""
    announced = request.headers.get("content-length", "")
    too_large = announced.isdecimal() and (len(announced) > _DIGITS or int(announced) > most)
    body, arrived = bytearray(), 0
    try:
        async with asyncio.timeout_at(ends):
            async for chunk in request.stream():
                arrived += len(chunk)
                too_large = too_large or arrived > most
                if arrived > _DROPPED * most:
                    break
                if not too_large:
                    body += chunk
    except TimeoutError:
        raise Refused(
            408,
            "the body did not arrive in time; send it faster, or less",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise Refused(499, "the client closed the connection") from None
    if too_large:
        raise Refused(
            413,
            f"the body has more than {most:,} bytes, the limit of this server; send fewer texts at "
            "a time",
            code="body_too_large",
            headers={"Connection": "close"},
        )
    return bytes(body)


def _refused(error: ValidationError) -> Refused:
    """The first thing that is wrong with a body, with its place."""
    first = error.errors(include_url=False)[0]
    place = _place(first["loc"])
    if first["type"] == "json_invalid":
        return Refused(400, f"the body is not JSON: {one_line(first['msg'])}")
    if first["type"] == "extra_forbidden":
        return Refused(400, f"{place}: there is no such field here; leave it out", param=place)
    if first["type"] == "missing":
        return Refused(400, f"{place} is missing", param=place)
    said = first["msg"][:1].lower() + first["msg"][1:]
    value = shown(first["input"])
    return Refused(400, f"{place or 'the body'}: {value}: {said}", param=place or None)


def _place(steps: tuple[int | str, ...]) -> str:
    said = ""
    for step in steps:
        said += f"[{step}]" if isinstance(step, int) else f".{step}" if said else one_line(step)
    return said


def check_texts(texts: Any, name: str, settings: Settings) -> list[str]:
    """`texts` as a list of texts that can be read.

    Raises:
        Refused: It is not a list, is empty or too long, or one of them cannot be read.
    """
    if not isinstance(texts, list):
        raise Refused(400, f"{name}: {shown(texts)} is not a list of texts", param=name)
    if not texts:
        raise Refused(400, f"{name} is empty; give at least one text", param=name)
    if len(texts) > settings.max_texts:
        raise Refused(
            400,
            f"{name}: {len(texts):,} texts are more than {settings.max_texts:,}, the limit per "
            "request; send several requests",
            param=name,
            code="too_many_texts",
        )
    for index, text in enumerate(texts):
        check_text(text, f"{name}[{index}]", settings)
    return texts


def check_text(text: Any, place: str, settings: Settings) -> str:
    """`text`, which can be read.

    Raises:
        Refused: It is not a string, is empty, too long, or holds what is not a character.
    """
    reason = refusal(text)
    if not reason and len(text) > settings.max_characters:
        reason = (
            f"has {len(text):,} characters, more than {settings.max_characters:,}, the limit per "
            "text; shorten it"
        )
    if not reason and "\0" in text:
        reason = f"holds a NUL at character {text.index(chr(0))}; leave it out"
    if not reason and (half := _SURROGATE.search(text)):
        reason = f"holds half a character (a lone surrogate) at {half.start()}; leave it out"
    if reason:
        raise Refused(400, f"{place} {reason}", param=place)
    assert isinstance(text, str)
    return text
