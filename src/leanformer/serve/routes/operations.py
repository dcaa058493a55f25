"""What operators ask: is the server alive, may it be sent requests, what has it counted.

/health     200 while the process answers at all
/ready      503 while it stops, or while one batch takes longer than a request may
/metrics    Prometheus
"""

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from leanformer.serve.errors import Refused, json_response
from leanformer.serve.guard import Guard, stopping
from leanformer.serve.metrics import CONTENT_TYPE
from leanformer.serve.service import Service


class Status(BaseModel):
    """What a server says of itself."""

    status: str


async def health(service: Service, request: Request) -> Response:
    """Say that the process answers."""
    return json_response({"status": "live"})


async def ready(service: Service, request: Request) -> Response:
    """Say whether requests should be sent here."""
    guard: Guard = request.app.state.guard
    if guard.stopping:
        raise stopping()
    if service.batcher.computing_for > service.settings.seconds:
        seconds = service.batcher.computing_for
        raise Refused(503, f"a batch has been computed for {seconds:.0f} s", code="stuck")
    return json_response({"status": "ready"})


async def metrics(service: Service, request: Request) -> Response:
    """Show the counts of this worker."""
    return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})
