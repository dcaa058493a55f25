"""What the routes of one server share."""

import asyncio
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from leanformer.serve.batching.batcher import Batcher
from leanformer.serve.bodies import Body, read_form
from leanformer.serve.errors import Refused
from leanformer.serve.metrics import Metrics
from leanformer.serve.served import Given, Index, Model
from leanformer.serve.settings import Settings
from leanformer.text.texts import TextError

Form = TypeVar("Form", bound=Body)
Result = TypeVar("Result")
Handler = Callable[[Request], Any]
_PLACE = re.compile(r"(texts|pairs)(\[\d+\])?")
_FEW_CHARACTERS = 4000  # up to here texts are tokenized in the event loop: a thread costs more


@dataclass(frozen=True)
class Service:
    """An open folder with its queue, its limits and its counts.

    Attributes:
        served: The open folder.
        batcher: What computes.
        settings: The limits.
        metrics: The counts.
    """

    served: Model | Index
    batcher: Batcher
    settings: Settings
    metrics: Metrics

    async def read(self, request: Request, form: type[Form]) -> tuple[Form, float]:
        """A request's body, and when its time is up, by the event loop's clock.

        Raises:
            Refused: The body is not of the form, or names another model.
        """
        ends = asyncio.get_running_loop().time() + self.settings.seconds
        body = await read_form(request, form, self.settings, ends)
        named = getattr(body, "model", None)
        if named is not None and named != self.served.name:
            raise Refused(
                404,
                f"model: {named!r} is not served here; this server has {self.served.name!r}",
                param="model",
                code="model_not_found",
            )
        return body, ends


async def prepared(texts: list[str], prepare: Callable[[], list[Given]]) -> list[Given]:
    """Texts that were read, without holding up other requests.

    Args:
        texts: The texts.
        prepare: What reads them.

    Raises:
        Refused: One cannot be read.
    """
    try:
        if sum(map(len, texts)) <= _FEW_CHARACTERS:
            return prepare()
        return await asyncio.to_thread(prepare)
    except TextError as error:
        place = f"{error.name}[{error.index}]"
        raise Refused(400, f"{place} {error.reason}", param=place) from error
    except ValueError as error:
        named = _PLACE.match(str(error))
        raise Refused(400, str(error), param=named and named[0]) from error


def answering(handler: Callable[..., Any], service: Service) -> Handler:
    """A route of `handler(service, request)`."""

    @functools.wraps(handler)
    async def route(request: Request) -> Response:
        answer: Response = await handler(service, request)
        return answer

    del route.__wrapped__  # type: ignore[attr-defined]  # FastAPI would ask for `service`
    return route
