"""What a server does that is asked for four times as much as it can compute, beside the same server when it is idle.

Run it from the repository's root: ``PYTHONPATH=. python benchmarks/overload.py [ROWS_PER_REQUEST [MAX_QUEUE_ROWS]]``.
"""

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# Before NumPy is imported; the server has one thread, too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import orjson

from app.primitives import fastest
from benchmarks.plans import additive_flow
from benchmarks.service.requests import free_port
from benchmarks.service.servers import gyoza

DIMENSIONS, HIDDEN, BLOCKS = 512, 1024, 8
BATCH_ROWS = 1024
"""What the service takes by default."""
SECONDS = 6.0
FACTOR = 4
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """One answer, and how long it took from when it was due."""

    status: int
    seconds: float
    retry_after: str | None


class Connection(asyncio.Protocol):
    """A connection of a client, for one request at a time."""

    def __init__(self) -> None:
        """Begin unconnected."""
        self._transport: Any = None
        self._found = bytearray()
        self._answer: asyncio.Future[tuple[int, str | None]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read on until the answer is whole."""
        self._found += data
        head, end, body = self._found.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if len(body) >= int(headers["content-length"]) and self._answer is not None:
            self._found.clear()
            self._answer.set_result((int(first.split(" ")[1]), headers.get("retry-after")))

    async def ask(self, request: bytes, due: float) -> Answer:
        """Send a request and wait for its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        status, retry_after = await asyncio.wait_for(self._answer, PATIENCE_S)
        return Answer(status, time.perf_counter() - due, retry_after)


class Client:
    """Asks one request over as many connections as it takes."""

    def __init__(self, port: int, rows: int) -> None:
        """Write the request."""
        latents = np.random.RandomState(0).standard_normal((rows, DIMENSIONS)).astype(np.float32)
        tensor = {"dtype": "float32", "shape": latents.shape, "base64": base64.b64encode(latents.tobytes()).decode()}
        body = orjson.dumps({"latents": tensor})
        head = (
            f"POST /encode HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._port = port
        self._idle: list[Connection] = []

    async def ask(self, due: float) -> Answer:
        """Ask on an idle connection, or on a new one."""
        if self._idle:
            connection = self._idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, "127.0.0.1", self._port)
        answer = await connection.ask(self._request, due)
        self._idle.append(connection)
        return answer

    async def wait(self) -> None:
        """Wait until the server answers."""
        while True:
            with suppress(OSError):
                if (await self.ask(0.0)).status == 200:
                    return
            await asyncio.sleep(0.1)

    async def closed_loop(self, connections: int, seconds: float) -> list[Answer]:
        """Ask anew on each of so many connections as soon as an answer is there."""
        answers: list[Answer] = []
        end = time.perf_counter() + seconds

        async def ask_again() -> None:
            while (now := time.perf_counter()) < end:
                answers.append(await self.ask(now))

        await asyncio.gather(*(ask_again() for _ in range(connections)))
        return answers

    async def open_loop(self, rate: float, seconds: float) -> list[Answer]:
        """Ask so often a second, whatever the answers."""
        start = time.perf_counter()
        asked = []
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked.append(asyncio.create_task(self.ask(due)))
        return await asyncio.gather(*asked)


def told(title: str, answers: Sequence[Answer]) -> str:
    """Return the count of answers and the quantiles of their latency."""
    middle, high, most = np.quantile([answer.seconds for answer in answers], (0.5, 0.99, 1.0)) * 1e3
    return f"{title:<44}{len(answers):>6}   p50 {middle:6.1f} ms   p99 {high:6.1f} ms   all within {most:6.1f} ms"


async def measure(port: int, rows: int) -> None:
    """Measure the idle server, its capacity, four times that, and the idle server again."""
    client = Client(port, rows)
    flow, batch = additive_flow(DIMENSIONS, HIDDEN, BLOCKS), np.zeros((BATCH_ROWS, DIMENSIONS), np.float32)
    batch_s = fastest(lambda: flow.encode(batch))
    await client.wait()
    idle = await client.closed_loop(1, SECONDS)
    print(told("one request at a time", idle))
    connections = max(1, BATCH_ROWS // 2 // rows)
    busy = [answer for answer in await client.closed_loop(connections, SECONDS) if answer.status == 200]
    print(told(f"{connections} connections in a closed loop", busy))
    rate = FACTOR * len(busy) / SECONDS
    answers = await client.open_loop(rate, SECONDS)
    accepted = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    print(told(f"{rate:,.0f} requests a second: answered", accepted))
    print(told("  refused with 429", refused))
    print("  Retry-After:", dict(Counter(answer.retry_after for answer in refused)))
    print("  neither:", len(answers) - len(accepted) - len(refused))
    print(told("one request at a time, right after", await client.closed_loop(1, SECONDS)))
    print(f"a pass of {BATCH_ROWS} rows takes {1e3 * batch_s:.1f} ms")


def main(rows: int, queue_rows: str | None) -> None:
    """Start a server of its own, measure it, and end it."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "flow", "1", "plan.safetensors")
        path.parent.mkdir(parents=True)
        additive_flow(DIMENSIONS, HIDDEN, BLOCKS).save(path)
        port = free_port()
        command = gyoza(port, Path(folder))
        if queue_rows:
            command += ["--max-queue-rows", queue_rows]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            asyncio.run(measure(port, rows))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64, sys.argv[2] if len(sys.argv) > 2 else None)
