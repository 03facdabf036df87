"""As many rejects as 10,000 connections bring."""

import asyncio
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx
import pytest

from tests.app.faults.server import SECONDS, Server, wait_until
from tests.app.faults.witness import witness
from tests.app.http.requests import head, statuses
from tests.app.keyrings import write_keys
from tests.app.servers import read_up_to, serving
from tests.app.worlds import LATENTS, put

CONNECTIONS, AT_ONCE = 10_000, 50
JSON = "Content-Type: application/json"
ROWS = 8


@dataclass(frozen=True)
class World:
    """A server with keys, its process, and a header with one of them."""

    server: Server
    process: subprocess.Popen[str]
    key: str
    gate: Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server with a quick model, and with one that waits for a file."""
    put(tmp_path / "models")
    gate = put(tmp_path / "models", "slow", text="gated") / "gate"
    key = write_keys(tmp_path / "keys", "web")["web"]
    limits = ["--max-batch-rows", str(ROWS), "--max-queue-rows", str(ROWS), "--max-json-bytes", "1000"]
    # Who fills the queue must wait for as long as it takes to reject all others, however slow the machine.
    limits += ["--request-timeout-s", "600"]
    log = tmp_path / "log"
    options = ["--api-keys-file", str(tmp_path / "keys"), *limits]
    with log.open("w") as file, serving(tmp_path / "models", *options, stderr=file) as (process, address, _):
        yield World(Server.of(process, address, log), process, key, gate)


def post(path: str, body: bytes, *headers: str) -> bytes:
    """Write a request with a body."""
    return head(f"POST {path}", *headers, f"Content-Length: {len(body)}") + body


def requests(key: str) -> list[tuple[int, bytes]]:
    """Return requests that are refused, and their statuses."""
    path, mine, rows = "/models/tiny/encode", f"X-API-Key: {key}", json.dumps({"latents": LATENTS}).encode()
    return [
        (404, post("/nowhere", rows, mine, JSON)),
        (404, post("/models/nobody/encode", rows, mine, JSON)),
        (413, head(f"POST {path}", mine, JSON, "Content-Length: 100000")),
        (401, post(path, rows, "X-API-Key: wrong", JSON)),
        (422, post(path, b'{"latents": [[1]]}', mine, JSON)),
        (415, post(path, rows, mine, "Content-Type: text/csv")),
        (429, post("/models/slow/encode", full(), mine, JSON)),
        (400, head(f"POST {path}", mine, "Content-Length: 1", "Content-Length: 2")),
        (431, head("GET /livez", *["X: y"] * 200)),
    ]


def full() -> bytes:
    """A body whose rows fill a pass, or the queue."""
    return json.dumps({"latents": [LATENTS[0]] * ROWS}).encode()


async def hold(world: World) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Fill a pass that does not end, and the queue behind it."""
    held = []
    for _ in range(2):
        reader, writer = await asyncio.open_connection(*world.server.place)
        writer.write(post("/models/slow/encode", full(), f"X-API-Key: {world.key}", JSON, "Connection: close"))
        held.append((reader, writer))
        if len(held) == 1:
            await asyncio.to_thread(read_up_to, world.process, "pass begins")
    await asyncio.to_thread(wait_until, lambda: waiting_rows(world) == ROWS)
    return held


def waiting_rows(world: World) -> int:
    """Count the rows that wait, whatever for."""
    text = httpx.get(f"{world.server.address}/metrics", headers={"X-API-Key": world.key}, timeout=SECONDS).text
    return sum(int(float(rows)) for rows in re.findall(r"(?m)^gyoza_queue_rows\{.*\} (.+)$", text))


async def ask(place: tuple[str, int], status: int, request: bytes) -> tuple[int, ...]:
    """Ask on a connection of its own, and return what was expected and what came."""
    reader, writer = await asyncio.open_connection(*place)
    writer.write(request)
    found = await reader.readuntil(b"\r\n")
    writer.transport.abort()
    return status, *statuses(found)


async def ask_all(server: Server, mix: list[tuple[int, bytes]], count: int) -> Counter[tuple[int, ...]]:
    """Ask on so many connections, some at once, and count what was expected and what came."""
    waiting, found = cycle(mix), Counter[tuple[int, ...]]()
    for _ in range(0, count, AT_ONCE):
        async with asyncio.timeout(SECONDS):
            found.update(await asyncio.gather(*(ask(server.place, *each) for each in islice(waiting, AT_ONCE))))
    return found


async def test_10000_rejects(world: World) -> None:
    """Each is told what was wrong; neither files nor memory grow, who asks rightly is answered, and so is who waited."""
    server, files = world.server, world.server.files()
    mix = requests(world.key)
    with witness(server.address, {"X-API-Key": world.key}):
        held = await hold(world)
        found = await ask_all(server, mix, CONNECTIONS // 4)
        memory = server.memory()
        found += await ask_all(server, mix, CONNECTIONS - CONNECTIONS // 4)
        assert server.memory() < memory + 2**24
        world.gate.touch()
        for reader, writer in held:
            async with asyncio.timeout(SECONDS):
                assert statuses(await reader.read()) == [200]
            writer.close()
    assert found.total() == CONNECTIONS
    assert set(found) == {(status, status) for status, _ in mix}
    server.settle(files)
