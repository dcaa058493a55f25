"""A server for every exported folder and every search index, over HTTP.

    leanformer serve lean/model --port 8000

Texts of all requests share one queue and are computed in batches by their tokens. Needs
`pip install 'leanformer[serve]'` (FastAPI and uvicorn).

    from leanformer.serve import Settings, create_app, open_served

    settings = Settings()
    app = create_app(open_served(Path("lean/model"), settings), settings)   # ASGI

`served` opens a folder, `following` keeps an index up to date, `batching` computes, `routes/`
answers, `running`, `server`, `sockets` and `workers` own processes and their sockets.
"""

from typing import Any

__all__ = ["Settings", "create_app", "open_served", "serve"]

_PLACES = {
    "Settings": "settings",
    "create_app": "app",
    "open_served": "served",
    "serve": "running",
}


def __getattr__(name: str) -> Any:
    """The four names, imported at first use.

    Raises:
        ImportError: FastAPI or uvicorn is not installed.
    """
    import importlib

    if name not in _PLACES:
        raise AttributeError(f"module 'leanformer.serve' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise ImportError(
            f"the server needs {error.name}: pip install 'leanformer[serve]'"
        ) from error


_NEEDED = ("fastapi", "starlette", "pydantic", "pydantic_core", "uvicorn")
