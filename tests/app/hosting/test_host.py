"""The application between its start and its end."""

import asyncio
from pathlib import Path

import pytest
from starlette.types import Message

from app.hosting import Host
from app.settings import Settings
from app.threads import threads_of
from tests.app.hosting.worlds import client_of, note_threads
from tests.app.worlds import LATENTS, put, tiny_loader


async def test_what_is_started_answers(folder: Path) -> None:
    """From the first request on, since the start waits for the models."""
    host = Host(Settings(models_dir=folder), tiny_loader)
    await host.start()
    async with client_of(host) as client:
        answer = await client.post("/encode", json={"latents": LATENTS})
        assert (answer.status_code, (await client.get("/readyz")).status_code) == (200, 200)
    assert host.fault is None
    await host.stop()


@pytest.mark.parametrize(("threads", "found"), [(3, 3), (None, threads_of(1))])
async def test_it_computes_in_the_threads_that_it_is_given(
    threads: int | None, found: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In those of a server alone where it is given none."""
    noted = note_threads(monkeypatch)
    host = Host(Settings(models_dir=folder), tiny_loader, threads=threads)
    await host.start()
    await host.stop()
    assert noted == [found]


async def test_what_is_not_ready_does_not_start(folder: Path) -> None:
    """The error says which model is at fault, and why."""
    put(folder, "wrong", text="nonsense")
    with pytest.raises(RuntimeError, match="wrong version 1 is UNAVAILABLE"):
        await Host(Settings(models_dir=folder), tiny_loader).start()


async def test_an_id_that_came_is_not_sent_twice(folder: Path) -> None:
    """Whoever gives requests their ids sends them back; without one, the application does."""
    host = Host(Settings(models_dir=folder), tiny_loader)
    await host.start()
    async with client_of(host) as client:
        assert "x-request-id" not in (await client.get("/livez", headers={"X-Request-ID": "mine"})).headers
        assert "x-request-id" in (await client.get("/livez")).headers
        assert "x-request-id" in (await client.get("/livez", headers={"X-Request-ID": "not one"})).headers
    await host.stop()


async def test_it_ends_with_whoever_takes_the_requests(folder: Path) -> None:
    """By the lifespan of ASGI; before that end it is not ready any more."""
    host = Host(Settings(models_dir=folder), tiny_loader)
    await host.start()
    asked: asyncio.Queue[Message] = asyncio.Queue()
    told: list[str] = []

    async def send(message: Message) -> None:
        told.append(message["type"])

    following = asyncio.create_task(host({"type": "lifespan"}, asked.get, send))
    await asked.put({"type": "lifespan.startup"})
    await asked.put({"type": "lifespan.shutdown"})
    await following
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert host.lifecycle.draining
    async with client_of(host) as client:
        assert (await client.get("/readyz")).status_code == 503
