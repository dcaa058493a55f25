"""What every request passes before its route: the key, the end of the server, the count.

    request ──▶ count ──▶ stopping? 503 ──▶ key? 401 ──▶ queue full? 429 ──▶ route

A full queue refuses before the body is read, so that a server under ten times its load spends its
time on the requests that it answers.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from leanformer.serve.api_keys import check_api_key
from leanformer.serve.batching.batcher import Batcher
from leanformer.serve.batching.waiting import too_many
from leanformer.serve.errors import Refused
from leanformer.serve.metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = ("/health", "/ready", "/", "/page.js", "/page.css")
"""Routes that need no key and are answered to the end."""


class Guard:
    """An ASGI application around another.

    Attributes:
        stopping: Whether new requests are refused because the server stops.
        in_flight: Requests that are being answered.
    """

    def __init__(
        self, app: App, *, computing: Sequence[str], keys: Sequence[str], metrics: Metrics
    ) -> None:
        """Guard `app`.

        Args:
            app: The application.
            computing: Paths of the routes that compute.
            keys: Valid API keys; none = every request is answered.
            metrics: Where requests are counted.
        """
        self.app, self._keys, self._metrics = app, keys, metrics
        self._computing = frozenset(computing)
        self._known = self._computing | {*OPEN, "/metrics", "/v1/models", "/openapi.json"}
        self.batcher: Batcher | None = None
        self.stopping, self.in_flight = False, 0
        metrics.gauge(
            "leanformer_requests_in_flight", "Requests in work.", lambda: float(self.in_flight)
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.in_flight += 1
        try:
            self._check(scope)
            await self.app(scope, receive, watched)
        except Refused as refused:
            await refused.response()(scope, receive, watched)
        finally:
            self.in_flight -= 1
            route = _route(scope) if _route(scope) in self._known else "other"
            self._metrics.count("leanformer_requests_total", route=route, status=str(status))
            seconds = time.perf_counter() - began
            self._metrics.observe("leanformer_request_seconds", seconds, route=route)

    def _check(self, scope: Message) -> None:
        """Refuse what need not be read."""
        path = _route(scope)
        if path in OPEN:
            return
        if self.stopping and path != "/metrics":
            raise stopping()
        check_api_key(scope["headers"], self._keys)
        computes = path in self._computing and scope["method"] == "POST"
        if computes and self.batcher is not None and self.batcher.full:
            raise too_many(self.batcher.refusal())


def _route(scope: Message) -> str:
    """The path within the application, which may be mounted in another one (`root_path`)."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def stopping() -> Refused:
    """What new requests are told while the server stops."""
    return Refused(
        503,
        "this server is stopping; ask another one, or later",
        code="stopping",
        headers={"Connection": "close", "Retry-After": "5"},
    )
