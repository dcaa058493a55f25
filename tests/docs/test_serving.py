"""The servers of `examples/` answer a thousand mixed requests from many threads, none wrong."""

import http.client
import io
import json
import os
import random
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import leanformer
from leanformer.runtime.serving.answers import Unanswered

EXAMPLES = Path(__file__).parents[2] / "examples"
WORDS = ["the", "quick", "brown", "fox", "jumps", "my", "lazy", "dog", "card", "was", "charged"]
REQUESTS, CLIENTS = 1_000, 8


def requests(count: int) -> list[list[str]]:
    """Requests of few texts, short and long, some of which cannot be read."""
    rng = random.Random(0)

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.choice([0, 1, 3, 8, 40, 90])))

    known = [[text() for _ in range(rng.choice([1, 1, 2, 5, 12]))] for _ in range(150)]
    return [rng.choice(known) for _ in range(count)]


@contextmanager
def serving(command: list[str], model: Path, **settings: str) -> Iterator[int]:
    """The port of a server that answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [word.replace("PORT", str(port)) for word in command]
    environment = {**os.environ, "MODEL": str(model), **settings}
    server = subprocess.Popen(
        [sys.executable, "-m", *words], cwd=EXAMPLES, env=environment, stderr=subprocess.PIPE
    )
    try:
        for _ in range(600):
            if server.poll() is not None:
                raise AssertionError(server.communicate()[1].decode()[-2000:])
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.communicate(timeout=60)


def ask(connection: http.client.HTTPConnection, path: str, body: Any) -> tuple[int, Any]:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def wrong_answers(
    port: int, asked: list[list[str]], right: dict[str, Any], fast: bool
) -> list[Any]:
    """Ask from eight threads; what was not answered as one thread answers."""
    wrong: list[Any] = []

    def work(start: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for texts in asked[start::CLIENTS]:
            try:
                status, found = ask(connection, "/predict", {"texts": texts} if fast else texts)
                ours = [
                    {k: round(v, 3) if k == "score" else v for k, v in a.items()} for a in found
                ]
                if status != 200 or ours != right[json.dumps(texts)]:
                    wrong.append((texts, status, found))
            except Exception as error:
                wrong.append((texts, error))
                connection.close()

    threads = [threading.Thread(target=work, args=(start,)) for start in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


@pytest.fixture(scope="module")
def right(desk: Path) -> dict[str, Any]:
    """What one thread answers, by request."""
    predictor = leanformer.load(desk / "lean" / "model", threads=1)
    return {
        json.dumps(texts): [
            {"error": answer.error}
            if isinstance(answer, Unanswered)
            else {"label": answer.label, "score": round(answer.score, 3)}
            for answer in predictor.predict(texts, errors="return")
        ]
        for texts in {json.dumps(texts): texts for texts in requests(REQUESTS)}.values()
    }


@pytest.mark.slow
def test_fastapi_answers_a_thousand_mixed_requests(desk: Path, right: dict[str, Any]) -> None:
    pytest.importorskip("fastapi")
    command = ["uvicorn", "serve:app", "--port", "PORT", "--log-level", "error"]
    with serving(command, desk / "lean" / "model") as port:
        assert wrong_answers(port, requests(REQUESTS), right, fast=True) == []


@pytest.mark.slow
def test_forked_workers_with_threads_answer(desk: Path, right: dict[str, Any]) -> None:
    pytest.importorskip("gunicorn")
    command = "gunicorn --bind 127.0.0.1:PORT --preload --workers 2 --threads 4 --log-level error"
    with serving([*command.split(), "serve_wsgi:application"], desk / "lean" / "model") as port:
        assert wrong_answers(port, requests(600), right, fast=False) == []


def test_requests_of_another_form_are_refused_whole(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL", str(desk / "lean" / "model"))
    application = runpy.run_path(str(EXAMPLES / "serve_wsgi.py"))["application"]

    def answered(body: bytes) -> tuple[str, Any]:
        statuses: list[str] = []
        request = {"wsgi.input": io.BytesIO(body)}
        (answer,) = application(request, lambda status, _: statuses.append(status))
        return statuses[0], json.loads(answer)

    status, answers = answered(b'["the lazy dog", ""]')
    assert status == "200 OK"
    assert [sorted(answer) for answer in answers] == [["label", "score"], ["error"]]
    for body in (json.dumps(["dog"] * 65).encode(), b'{"texts": ["dog"]}', b"["):
        status, said = answered(body)
        assert status == "422 Unprocessable Content"
        assert "error" in said


def test_a_call_that_takes_too_long_is_given_up(desk: Path) -> None:
    pytest.importorskip("fastapi")
    command = ["uvicorn", "serve:app", "--port", "PORT", "--log-level", "error"]
    with serving(command, desk / "lean" / "model", SECONDS_PER_CALL="0.0001") as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        status, said = ask(connection, "/predict", {"texts": ["the lazy dog " * 30] * 64})
        assert status == 503
        assert "no answer within 0.0001 s" in said["detail"]
        assert ask(connection, "/predict", {"texts": ["dog"] * 65})[0] == 422
