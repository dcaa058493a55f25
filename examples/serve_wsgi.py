"""A server of an exported folder under gunicorn: processes that share one import, threads in each.

MODEL=lean/model gunicorn --chdir examples --preload --workers 2 --threads 4 serve_wsgi:application

With `--preload` the folder is opened once and the workers are forked: each opens its runtime anew
at its first request, since threads do not survive a fork.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from functools import cache

import leanformer

SECONDS = float(os.environ.get("SECONDS_PER_CALL", "5"))
MOST = 64

predictor = leanformer.load(os.environ["MODEL"], threads=1)


@cache
def pool() -> ThreadPoolExecutor:
    """Threads that compute, made by each worker for itself."""
    return ThreadPoolExecutor(max_workers=predictor.system.concurrency)


def application(request: dict, start: Callable) -> Iterable[bytes]:
    """Answer a JSON list of texts."""
    try:
        texts = texts_of(request["wsgi.input"].read())
        call = pool().submit(predictor.predict, texts, errors="return")
        answers = [dataclasses.asdict(answer) for answer in call.result(SECONDS)]
        status, body = "200 OK", json.dumps(answers)
    except TooLate:
        status, body = "503 Service Unavailable", json.dumps({"error": "no answer in time"})
    except ValueError as error:
        status, body = "422 Unprocessable Content", json.dumps({"error": str(error)})
    start(status, [("Content-Type", "application/json")])
    return [body.encode()]


def texts_of(body: bytes) -> list:
    """The texts of a request; their number bounds what one call may cost."""
    texts = json.loads(body)
    if not isinstance(texts, list) or len(texts) > MOST:
        raise ValueError(f"send a JSON list of at most {MOST} texts")
    return texts
