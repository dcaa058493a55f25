"""The benchmark of `leanformer serve`: its page, and its clients against a server that errs."""

import importlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from leanformer.core.record import Record

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
EXPECTED = {
    "labels": ["a", "b"],
    "texts": ["first", "second"],
    "shares": [[0.9, 0.1], [0.2, 0.8]],
}


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports a script of `benchmarks/`."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def seen(per_second, wrong=0, p99=0.2, **statuses):
    found = {"per_second": per_second, "offered": 2 * per_second, "p50": 0.1, "p99": p99}
    return {**found, "statuses": statuses, "wrong": wrong}


def test_the_page_shows_bars_met_and_missed(benchmark, tmp_path):
    record = Record(tmp_path / "server.jsonl")
    plain, other = [seen(100), seen(110)], [seen(50), seen(60)]
    for clients, ours in ((1, [seen(90), seen(99)]), (16, [seen(140), seen(176, wrong=2)])):
        found = {"leanformer": ours, "plain": plain, "plain, all cores": other}
        record.write("clients", clients=clients, found=found, environment={})
    refused = {"200": 100, "429": 900}
    record.write("overload", server="leanformer", rate=500, **seen(50, p99=4), environment={})
    bad = {**seen(40, p99=29), "statuses": {**refused, "none": 3}}
    record.write("overload", server="plain", rate=400, **bad, environment={})
    benchmark("server_page").write_page(record.path)
    lines = (tmp_path / "server.md").read_text().splitlines()
    assert "| 1 | leanformer | 94 | 0.90x | 100 ms | 200 ms | 0 |" in lines
    assert "| 16 | leanformer | 158 | 1.50x | 100 ms | 200 ms | 2 **missed** |" in lines
    assert "| 16 | plain, all cores | 55 | 0.52x | 100 ms | 200 ms | 0 |" in lines
    assert "| leanformer | 100 of 500 | 50 | 0 | 0 | 100 ms | 4000 ms **missed** | 0 |" in lines
    assert "| plain | 80 of 400 | 40 | 900 | 3 | 100 ms | 29000 ms | 0 |" in lines


class Erring(BaseHTTPRequestHandler):
    """Answers the first text rightly and the second as if it were the first; then 429."""

    protocol_version = "HTTP/1.1"
    count = 0

    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["texts"]
        type(self).count += 1
        answer = {"answers": [{"label": "a", "score": 0.9}] * len(texts)}
        body = json.dumps(answer).encode()
        self.send_response(200 if self.count <= 20 else 429)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said):
        pass


def test_clients_count_wrong_answers_and_refusals(benchmark):
    import asyncio

    clients_of = benchmark("server_clients").Clients
    Erring.count = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Erring) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        clients = clients_of(f"http://127.0.0.1:{server.server_port}", EXPECTED, 1)
        asyncio.run(clients.at_rate(100, 0.4))
        server.shutdown()
    assert clients.statuses == {"200": 20, "429": 20}
    assert len(clients.seconds) == 20
    assert 0 < clients.wrong < 20
