"""`leanformer serve` beside a plain server: requests per second, waiting times, an overload.

    python benchmarks/server.py clock     (on a quiet machine! seven minutes)
    python benchmarks/server.py overload  (the last part of it, a minute and a half)
    python benchmarks/server.py alone     (on a quiet machine! the model without a server)
    python benchmarks/server.py page      (writes docs/results/server.md)

MiniLM-L6 with a head for the bundled intents, exported in OpenVINO int8; its texts are those
intents, alone and joined. The head is not trained but its weights are large, so that each text has
an answer of its own and one that went to another request is seen. The plain server is FastAPI with
one call of the same predictor per request, once with all cores per call and once with one. Clients
run in a process of their own, and every answer is compared with the predictor's.
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from foundation_tables import ROOT
from server_page import MEASURED, write_page
from serving import MODEL, mixed_texts

from leanformer.core.machine.threads import cores
from leanformer.core.record import Record
from leanformer.data import Source
from leanformer.measure.environment import environment
from leanformer.measure.interleave import interleave
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.recipe import open_model
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.serving.predictor import Predictor, load
from leanformer.tasks.answers import softmax

HERE = Path(__file__).resolve().parent
CLIENTS = (1, 16, 64)
OVERLOAD, BATCH = 10, 64
TEXTS_PER_REQUEST = 16  # under overload, so that one process of clients can offer ten times enough
_HEAD = 40.0  # factor on the head's weights


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["clock", "overload", "alone", "page"])
    parser.add_argument("--tiny", action="store_true", help="a tiny model, for a second each")
    parser.add_argument("--record", type=Path, default=MEASURED)
    asked = parser.parse_args()
    if asked.what == "page":
        write_page(asked.record)
        return
    {"clock": clock, "overload": overload, "alone": alone}[asked.what](
        Record(asked.record), tiny=asked.tiny
    )


def clock(record: Record, *, tiny: bool) -> None:
    """Measure all servers side by side, round by round, and then overload two of them."""
    seconds, rounds = (0.5, 1) if tiny else (8.0, 3)
    folder, expected = served_model(tiny), expected_answers(tiny)
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(running(name, folder)) for name in COMMANDS}
        for clients in (1, 4) if tiny else CLIENTS:
            found: dict[str, list[dict[str, Any]]] = {name: [] for name in servers}
            for _ in range(rounds):
                for name, address in servers.items():
                    found[name].append(ask(address, expected, clients=clients, seconds=seconds))
            record.write("clients", clients=clients, found=found, environment=environment())
    overload(record, tiny=tiny)


def overloads(
    address: str, expected: Path, seconds: float
) -> Iterator[tuple[dict[str, Any], float]]:
    """Ten times as many requests as the server answers, whatever it answers."""
    several = {"texts": TEXTS_PER_REQUEST}
    able = ask(address, expected, clients=16, seconds=seconds, **several)["per_second"]
    rate = OVERLOAD * max(able, 1.0)
    yield ask(address, expected, rate=rate, seconds=2 * seconds, **several), rate


def overload(record: Record, *, tiny: bool) -> None:
    """Ask ten times as much as each of two servers can answer."""
    seconds = 0.5 if tiny else 8.0
    folder, expected = served_model(tiny), expected_answers(tiny)
    for name in ("leanformer", "plain"):
        with running(name, folder) as address:
            for event, rate in overloads(address, expected, seconds):
                record.write("overload", server=name, rate=rate, **event, environment=environment())


def expected_answers(tiny: bool) -> Path:
    """A file of the texts that are asked, with the right answers."""
    folder = served_model(tiny)
    expected = folder.parent / "expected.json"
    expected.write_text(json.dumps(expectations(folder, mixed_texts(64 if tiny else 1024))))
    return expected


def alone(record: Record, *, tiny: bool) -> None:
    """Texts per second of the predictor, a thread per core, one at a time and in batches."""
    predictor = load(served_model(tiny), threads=1, concurrency=cores())
    texts = mixed_texts(64 if tiny else 1024)
    calls = {}
    for name, rows in (("single", 1), ("batch", BATCH)):
        parts = [texts[place : place + rows] for place in range(0, len(texts), rows)]
        calls[name] = partial(_answer, predictor, parts)
    timings = interleave(calls, rounds=1 if tiny else 7, warmup=1)
    found = {name: timing.rate(len(texts)).value for name, timing in timings.items()}
    record.write("alone", rows=BATCH, **found, environment=environment())


def _answer(predictor: Predictor, parts: list[list[str]]) -> None:
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(predictor.predict, parts))


def served_model(tiny: bool) -> Path:
    """The folder that all servers open, exported once."""
    folder = ROOT / "runs" / "server" / ("tiny" if tiny else "model")
    if (folder / "leanformer.json").is_file():
        return folder
    dataset = Source(path="bundled:intents").read()
    labels = dataset.task.labels
    if tiny:
        model, tokenizer = tiny_model("bert", num_labels=len(labels))
    else:
        model, tokenizer = open_model(str(MODEL), dataset, 0)
    model.classifier.weight.data *= _HEAD
    save_model(model, tokenizer, folder, overwrite=True)
    manifest = Manifest(kind="classification", labels=labels, max_length=32 if tiny else 128)
    if not tiny:
        known = Calibration(tokenizer=tokenizer, texts=dataset.train.texts[:128], max_length=128)
        place, kind = folder / "openvino", "classification"
        export_openvino(model, kind, place, precision="int8", calibration=known)  # type: ignore[arg-type]
        fields = {**vars(manifest), "backend": "openvino", "precision": "int8"}
        manifest = Manifest(**fields)
    write_manifest(folder, manifest)
    return folder


def expectations(folder: Path, texts: list[str]) -> dict[str, Any]:
    """The probability of each label for each text, computed one by one."""
    predictor = load(folder, threads=1)
    shares = [softmax(predictor.answer([text])[0]).tolist() for text in texts]
    return {"labels": predictor.manifest.labels, "texts": texts, "shares": shares}


def ask(
    address: str,
    expected: Path,
    *,
    seconds: float,
    clients: int = 0,
    rate: float = 0.0,
    texts: int = 1,
) -> dict[str, Any]:
    """What a process of clients saw: `clients` in a row each, or `rate` requests per second."""
    command = [sys.executable, str(HERE / "server_clients.py"), address, str(expected)]
    command += [str(seconds), str(clients), str(rate), str(texts)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


COMMANDS = {
    "leanformer": [sys.executable, "-m", "leanformer", "serve", "FOLDER", "--port", "PORT"],
    "plain": [sys.executable, str(HERE / "plain_server.py"), "FOLDER", "PORT", "1"],
    "plain, all cores": [sys.executable, str(HERE / "plain_server.py"), "FOLDER", "PORT", "0"],
}  # fmt: skip
"""How each server is started."""


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[str]:
    """The address of a server that is ready."""
    port = random.randint(20_000, 50_000)
    given = {"FOLDER": str(folder), "PORT": str(port)}
    server = subprocess.Popen(
        [given.get(word, word) for word in COMMANDS[name]], stdout=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            if server.poll() is not None:
                raise SystemExit(f"{name} ended with {server.returncode}")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/health", timeout=60).status_code == 200:
                    break
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:  # a plain server still answers what nobody waits for
            server.kill()


if __name__ == "__main__":
    main()
