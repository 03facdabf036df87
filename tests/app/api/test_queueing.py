"""What clients see of the queue: who waits together, who is refused, and what happens to those who leave."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import orjson
import pytest
from fastapi import FastAPI
from starlette.types import Message

from app.api.access import TOGETHER_S
from app.main import create_app
from app.settings import Settings
from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.checks import Golden
from gyoza.inference.plan import Floats, Opaque
from tests.app.worlds import SIZE, TinyFlow, client_of, rows

LATER = 10.0


class SlowFlow:
    """A flow that is slow enough for the pool, stops at a gate that may be closed, and fails at so many rows as it is told."""

    def __init__(self) -> None:
        """Begin open, as models are loaded by passes too."""
        self.gate, self.begun = threading.Event(), threading.Event()
        self.gate.set()
        self.fails_at = 0
        self.passes: list[int] = []

    def load(self, path: Path, golden: Golden | None) -> TinyFlow:
        """Return the flow, whatever the file."""
        step = Opaque(lambda rows: (self(rows), rows[:, 0]), self)
        return TinyFlow(CompiledFlow(Plan((step,), (SIZE,), (SIZE,), np.dtype("float32"))))

    def __call__(self, rows: Floats) -> Floats:
        """Return the rows."""
        self.passes.append(len(rows))
        self.begun.set()
        time.sleep(0.002)
        assert self.gate.wait(LATER)
        if len(rows) == self.fails_at:
            raise RuntimeError("secret")
        return rows

    def close(self) -> None:
        """Hold up the next passes, and forget those that were."""
        self.gate.clear()
        self.begun.clear()
        self.passes.clear()

    async def wait_until_begun(self) -> None:
        """Let the loop go on until a pass has begun."""
        while not self.begun.is_set():
            await asyncio.sleep(0.001)


@pytest.fixture
def flow() -> SlowFlow:
    """The flow that is served."""
    return SlowFlow()


@pytest.fixture
def app(flow: SlowFlow, folder: Path) -> FastAPI:
    """An application that serves it, with 4 rows a pass and 4 in the queue."""
    return create_app(Settings(models_dir=folder, max_batch_rows=4, max_queue_rows=4), flow.load)


@asynccontextmanager
async def busy(flow: SlowFlow, client: httpx.AsyncClient) -> AsyncIterator[None]:
    """Keep the engine busy with the pass of a request of 1 row, and let it go at the end."""
    flow.close()
    first = asyncio.create_task(ask(client, 1))
    await flow.wait_until_begun()
    yield
    flow.gate.set()
    assert (await first).status_code == 200


async def ask(client: httpx.AsyncClient, count: int) -> httpx.Response:
    """Encode some rows."""
    return await client.post("/encode", json={"latents": rows(count).tolist()}, headers={"X-Request-ID": f"id-{count}"})


async def test_a_full_queue_is_429(app: FastAPI, flow: SlowFlow) -> None:
    """What finds no room is 429 with whole seconds in Retry-After; what found room is answered."""
    async with client_of(app) as client:
        async with busy(flow, client):
            waiting = asyncio.create_task(ask(client, 4))
            await asyncio.sleep(0.02)
            refused = await ask(client, 1)
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:gyoza:overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await waiting).status_code == 200
    assert flow.passes == [1, 4]


async def test_a_failed_pass_is_500_for_all_in_it(
    app: FastAPI, flow: SlowFlow, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in a pass is 500 for each request in it; the log has its stack trace once, and a line for each request."""
    async with client_of(app) as client:
        flow.fails_at = 3
        async with busy(flow, client):
            waiting = [asyncio.create_task(ask(client, count)) for count in (1, 2)]
            await asyncio.sleep(0.02)
        answers = await asyncio.gather(*waiting)
    assert [answer.status_code for answer in answers] == [500, 500]
    assert not any("secret" in answer.text for answer in answers)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors if record.exc_info] == [
        "a pass of 3 rows failed, and with it 2 requests"
    ]
    assert {record.getMessage() for record in errors if not record.exc_info} == {
        "request id-1 failed",
        "request id-2 failed",
    }


async def test_who_hangs_up_frees_the_rows(
    app: FastAPI, flow: SlowFlow, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows of a client that hangs up while they wait are not computed, and leave their room to others."""
    async with client_of(app) as client:
        async with busy(flow, client):
            with caplog.at_level(logging.INFO, "gyoza.access"):
                await hang_up(client, rows(4))
                await asyncio.sleep(2 * TOGETHER_S)
            waiting = asyncio.create_task(ask(client, 3))
            await asyncio.sleep(0.02)
        assert (await waiting).status_code == 200
    assert flow.passes == [1, 3]
    assert " 499 " in caplog.text


async def hang_up(client: httpx.AsyncClient, latents: Floats) -> None:
    """Ask as a client that is gone as soon as the body is sent."""
    body = orjson.dumps({"latents": latents.tolist()})
    messages: list[Message] = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/encode", "query_string": b"", "headers": headers}
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    await transport.app(scope, receive, send)
