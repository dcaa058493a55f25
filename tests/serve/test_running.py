"""Servers in processes of their own, of a system that needs no torch: started, hung up on, stopped."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import leanformer
from leanformer.data import Examples, Task
from leanformer.distill.ngrams import fit_ngrams
from leanformer.serve.running import serve
from leanformer.serve.settings import Settings
from leanformer.serve.sockets import bind

SCRIPT = Path(__file__).with_name("slow_server.py")
TEXTS = ["the lazy dog", "the quick fox jumps", "my card was charged", "charged twice", "a dog"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("served") / "ngrams"
    examples = Examples(texts=TEXTS, labels=[0, 0, 1, 1, 0])
    task = Task(kind="classification", labels=("animal", "money"))
    fit_ngrams(examples, task).save(place)
    return place


@pytest.fixture(scope="module")
def right(folder):
    predictor = leanformer.load(folder, threads=1)
    return {text: predictor.about.plain(predictor.predict([text])[0]) for text in TEXTS}


@contextmanager
def running(folder, workers=1, seconds=0.0):
    """A server's process and its address, when it is ready."""
    command = [sys.executable, str(SCRIPT), str(folder), str(workers), str(seconds)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes)
    try:
        told = process.stdout.readline().split()
        assert told, process.communicate()[1]
        assert httpx.get(f"{told[0]}/ready", timeout=120).status_code == 200
        yield process, told[0]
    finally:
        process.kill()
        process.communicate()


def check_stop_under_load(process, address, right):
    """SIGTERM while 24 clients ask: 200 and the right answer, 503, or no connection at all.

    Whatever was sent before the signal is answered.
    """
    statuses, stopped = {200: 0, 503: 0}, asyncio.Event()

    async def client(number):
        async with httpx.AsyncClient(base_url=address, timeout=60, verify=False) as session:
            await ask(session, number)

    async def ask(session, number):
        for turn in range(10_000):
            text = TEXTS[(number + turn) % len(TEXTS)]
            before = turn > 0 and not stopped.is_set()  # on a connection that the server knows
            try:
                response = await session.post("/predict", json={"texts": [text]})
            except httpx.RequestError as error:
                if before and not isinstance(error, httpx.ConnectError):
                    raise AssertionError(f"an accepted request was cut off: {error!r}") from error
                return
            statuses[response.status_code] += 1
            if response.status_code == 200:
                assert response.json()["answers"] == [right[text]]
            else:
                assert response.json()["error"]["code"] == "stopping"

    async def all_of_them():
        clients = asyncio.gather(*(client(number) for number in range(24)))
        while statuses[200] < 48:
            await asyncio.sleep(0.05)
        stopped.set()
        process.send_signal(signal.SIGTERM)
        await clients

    asyncio.run(all_of_them())
    assert process.wait(60) == 0, process.stderr.read()
    assert statuses[503] >= 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/health")
    assert process.stderr.read().count("Traceback") == 0


def test_hang_ups_nonsense_a_taken_port_and_a_stop_under_load(folder, right):
    with running(folder, seconds=0.3) as (process, address):
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps({"texts": [TEXTS[0]]}).encode()
        head = (
            f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        for _ in range(20):  # whole requests whose clients do not wait
            with socket.create_connection((host, int(port))) as gone:
                gone.sendall(head + body)
        halves = [socket.create_connection((host, int(port))) for _ in range(3)]
        for half in halves:
            half.sendall(head + body[:5])
        with socket.create_connection((host, int(port))) as nonsense:
            nonsense.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            assert b"400" in nonsense.recv(100)
        answered = httpx.post(f"{address}/predict", json={"texts": TEXTS}, timeout=60)
        assert answered.json()["answers"] == [right[text] for text in TEXTS]
        halves[0].sendall(body[5:])
        assert b"200 OK" in halves[0].recv(1000)
        for _ in range(100):
            counts = httpx.get(f"{address}/metrics").text
            if 'status="499"' in counts:
                break
            time.sleep(0.1)
        assert int(re.search(r'/predict",status="499"} (\d+)', counts)[1]) >= 10
        computed = int(re.search(r"texts_total\S+ (\d+)", counts)[1])
        assert computed < 20 + len(TEXTS) + 1  # most of the clients that left were not answered
        with pytest.raises(
            OSError, match=rf"port {port} of 127\.0\.0\.1 is taken by another server"
        ):
            bind("127.0.0.1", int(port))
        for half in halves[1:]:
            half.close()
        check_stop_under_load(process, address, right)


def test_a_killed_worker_is_replaced_and_all_end_together(folder, right):
    with running(folder, workers=2) as (process, address):

        def workers(count):
            seen = set()
            for _ in range(600):
                try:
                    text = httpx.get(f"{address}/metrics", timeout=60).text
                except httpx.RequestError:  # it was on its way to the killed one
                    continue
                seen |= set(re.findall(r'worker="(\d+)"', text))
                if len(seen) >= count:
                    return seen
                time.sleep(0.05)
            raise AssertionError(f"{len(seen)} of {count} workers answered")

        first = workers(2)
        os.kill(int(min(first)), signal.SIGKILL)
        now = workers(2) | first
        for _ in range(600):
            if len(now) == 3:
                break
            now |= workers(1)
        assert len(now) == 3
        for text in TEXTS:
            answered = httpx.post(f"{address}/predict", json={"texts": [text]}, timeout=60)
            assert answered.json()["answers"] == [right[text]]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "another starts" in process.stderr.read()
        ends = time.monotonic() + 60
        while any(Path(f"/proc/{one}").exists() for one in children):
            assert time.monotonic() < ends
            time.sleep(0.05)


def test_a_folder_is_looked_at_before_a_socket_is_taken(tmp_path):
    with pytest.raises(FileNotFoundError, match="has neither"):
        serve(tmp_path, Settings())
