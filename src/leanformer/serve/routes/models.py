"""GET /v1/models: what is served here, in OpenAI's form, with its task and its routes."""

import time
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from leanformer.serve.errors import Refused, json_response
from leanformer.serve.service import Service

_STARTED = int(time.time())


class ModelCard(BaseModel):
    """A served folder."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    created: int
    owned_by: str
    task: str
    routes: list[str]


class ModelCards(BaseModel):
    """All that is served here: one."""

    object: str
    data: list[ModelCard]


async def models(service: Service, request: Request) -> Response:
    """List what is served."""
    return json_response({"object": "list", "data": [_card(service, request)]})


async def model(service: Service, request: Request) -> Response:
    """Describe what is served, by its name."""
    asked = request.path_params["model"]
    if asked != service.served.name:
        raise Refused(
            404,
            f"model {asked!r} is not served here; this server has {service.served.name!r}",
            code="model_not_found",
        )
    return json_response(_card(service, request))


def _card(service: Service, request: Request) -> dict[str, Any]:
    return {
        "id": service.served.name,
        "object": "model",
        "created": _STARTED,
        "owned_by": "leanformer",
        "routes": request.app.state.computing,
        **service.served.about,
    }
