"""GET /: a small page on which to try what is served. Nothing on it comes from elsewhere."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from leanformer.serve.service import Service

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_KINDS = {"page.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}


async def page(service: Service, request: Request) -> Response:
    """Show the page, or one of its files."""
    name = request.url.path.rpartition("/")[2] or "page.html"
    text = files("leanformer.serve").joinpath("page", name).read_text(encoding="utf-8")
    return Response(text, headers=_HEADERS, media_type=_KINDS[name])
