"""The clients of `server.py`: they ask, take the time and compare every answer.

python benchmarks/server_clients.py ADDRESS EXPECTED SECONDS CLIENTS RATE TEXTS

CLIENTS ask one request after the other; where RATE is given, requests are sent at that rate
instead, whether or not earlier ones were answered. They speak HTTP over bare streams: a full client
would take as much of the machine as the server.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from typing import Any

TOLERANCE = 0.01  # of a probability: batches differ in the last bits
PATIENCE = 30.0  # seconds


class Clients:
    """Asks a server, and counts what came back."""

    def __init__(self, address: str, expected: dict[str, Any], texts: int) -> None:
        host, port = address.removeprefix("http://").split(":")
        self.host, self.port, self.count = host, int(port), texts
        self.expected, self.rng = expected, random.Random(0)
        self.places = {name: place for place, name in enumerate(expected["labels"])}
        self.seconds: list[float] = []
        self.statuses: dict[str, int] = {}
        self.wrong = 0
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def one(self) -> None:
        """One request and its answer."""
        chosen = self.rng.choices(range(len(self.expected["texts"])), k=self.count)
        body = json.dumps({"texts": [self.expected["texts"][place] for place in chosen]}).encode()
        began = time.perf_counter()
        try:
            status, answer = await asyncio.wait_for(self._asked(body), PATIENCE)
        except (TimeoutError, OSError, EOFError, ValueError):
            status, answer = "none", b""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == "200":
            self.seconds.append(time.perf_counter() - began)
            answers = json.loads(answer)["answers"]
            right = len(answers) == len(chosen) and all(map(self._right, answers, chosen))
            self.wrong += not right

    async def _asked(self, body: bytes) -> tuple[str, bytes]:
        if self.idle:
            reader, writer = self.idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(said.split("content-length:")[1].split("\r\n")[0])
            answer = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if "connection: close" in said:
            writer.close()
        else:
            self.idle.append((reader, writer))
        return said.split()[1], answer

    def _right(self, answer: dict[str, Any], place: int) -> bool:
        """Whether this is the answer to that text: its likeliest label, with its probability."""
        shares = self.expected["shares"][place]
        share = shares[self.places[answer["label"]]]
        return abs(share - answer["score"]) < TOLERANCE and max(shares) - share < TOLERANCE

    async def in_turn(self, clients: int, seconds: float) -> None:
        """`clients` that each wait for an answer before they ask again."""
        ends = time.perf_counter() + seconds

        async def client() -> None:
            while time.perf_counter() < ends:
                await self.one()

        await asyncio.gather(*(client() for _ in range(clients)))

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Requests at a rate, whatever becomes of them."""
        tasks, began = set(), time.perf_counter()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(began + number / rate - time.perf_counter())
            tasks.add(asyncio.ensure_future(self.one()))
        await asyncio.gather(*tasks)


def main() -> None:
    """Ask, and print what was seen as JSON."""
    address, expected, seconds, number, rate, texts = sys.argv[1:]
    with open(expected) as file:
        clients = Clients(address, json.load(file), int(texts))
    began = time.perf_counter()
    if float(rate):
        asyncio.run(clients.at_rate(float(rate), float(seconds)))
    else:
        asyncio.run(clients.in_turn(int(number), float(seconds)))
    took, times = time.perf_counter() - began, clients.seconds
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [*times, 0.0] * 99
    found = {
        "per_second": len(times) / took,
        "offered": sum(clients.statuses.values()) / took,
        "p50": cuts[49],
        "p99": cuts[98],
        "statuses": clients.statuses,
        "wrong": clients.wrong,
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
