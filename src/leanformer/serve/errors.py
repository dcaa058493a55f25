"""Refusals in the form that OpenAI's clients read, so that they show the message as their own.

{"error": {"message": "texts[3] is empty; …", "type": "invalid_request_error",
           "param": "texts[3]", "code": null}}
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class Refused(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status.
        message: What is wrong, and the way out.
        param: The place in the body, or None.
        code: A word that programs compare, or None.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer that is sent."""
        kind = _TYPES.get(self.status, "invalid_request_error")
        error = {
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": self.code,
        }
        return json_response({"error": error}, self.status, self.headers)


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`content` as a JSON answer."""
    body = to_json(content, inf_nan_mode="null")
    return Response(body, status, dict(headers or {}), media_type="application/json")
