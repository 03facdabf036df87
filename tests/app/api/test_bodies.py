"""What bodies are read, and how much of them."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope

from app.api.bodies import read_body
from app.api.intake import Intake
from app.errors import DeadlineExceeded
from tests.app.worlds import LATENTS, app_of, client_of

BODY = b'{"latents": [[1, 2, 3, 4]]}'


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=UTF-8", "application/ld+json"],
)
async def test_json_by_any_name(client: httpx.AsyncClient, content_type: str) -> None:
    """JSON is read under its own media type and those ending in +json, whatever parameters follow."""
    answer = await client.post("/encode", content=BODY, headers={"Content-Type": content_type})
    assert answer.status_code == 200


async def test_no_content_type_means_json(client: httpx.AsyncClient) -> None:
    """A body that does not say what it is is taken for JSON."""
    answer = await client.post("/encode", content=BODY)
    assert "content-type" not in answer.request.headers
    assert answer.status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "text/x+json", "json"])
async def test_other_content_types_are_refused(client: httpx.AsyncClient, content_type: str) -> None:
    """Any other media type is 415, which states the one received and those read."""
    answer = await client.post("/encode", content=BODY, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:gyoza:unsupported-media-type")
    assert "application/json" in answer.json()["detail"]
    assert f"Received: {content_type or 'none'}" in answer.json()["detail"]


def raw_deflate(content: bytes) -> bytes:
    """Deflate without zlib's wrapping."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        *((name, gzip.compress) for name in ("gzip", "x-gzip", "GZIP", "identity, gzip")),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        *((name, bytes) for name in ("identity", "", " , identity")),
    ],
)
async def test_compressed_bodies_are_read(
    client: httpx.AsyncClient, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    """A body of gzip, or of deflate with or without zlib's wrapping, is as good as a plain one."""
    answer = await client.post("/encode", content=compress(BODY), headers={"Content-Encoding": coding})
    assert answer.status_code == 200
    assert answer.json() == (await client.post("/encode", content=BODY)).json()


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "deflate, gzip"])
async def test_other_codings_are_refused(client: httpx.AsyncClient, coding: str) -> None:
    """Any other coding, and more than one, is 415, which names what is read."""
    answer = await client.post("/encode", content=BODY, headers={"Content-Encoding": coding})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:gyoza:unsupported-media-type")
    assert f"gzip, deflate, once. Received: {coding}." in answer.json()["detail"]


async def test_headers_that_come_twice_are_one_list(client: httpx.AsyncClient) -> None:
    """Two Content-Encoding headers are two codings."""
    answer = await client.post("/encode", content=BODY, headers=[("Content-Encoding", "gzip")] * 2)
    assert "Received: gzip, gzip." in answer.json()["detail"]


@pytest.mark.parametrize("setting", ["max_json_bytes", "max_body_bytes"])
async def test_the_limit_holds_for_what_was_inflated(folder: Path, setting: str) -> None:
    """A compressed body that inflates to one byte too many is 413 with limit and setting; at the limit it passes."""
    padded = BODY + b" " * 1000
    async with client_of(app_of(folder, **{setting: len(padded)})) as client:
        headers = {"Content-Encoding": "gzip"}
        fits = await client.post("/encode", content=gzip.compress(padded), headers=headers)
        larger = await client.post("/encode", content=gzip.compress(padded + b" "), headers=headers)
    assert fits.status_code == 200
    assert (larger.status_code, larger.json()["type"]) == (413, "urn:gyoza:too-large")
    assert f"at most {len(padded)} bytes" in larger.json()["detail"]
    assert f"GYOZA_{setting.upper()}" in larger.json()["detail"]


@pytest.mark.parametrize("setting", ["max_json_bytes", "max_body_bytes"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_over_the_limit_are_refused(folder: Path, setting: str, chunked: bool) -> None:
    """A body of one byte too many is 413 with the limit and its setting, declared or chunked; at the limit it passes."""

    async def pieces(content: bytes) -> AsyncIterator[bytes]:
        for byte in content:
            yield bytes([byte])

    async with client_of(app_of(folder, **{setting: len(BODY)})) as client:
        fits = await client.post("/encode", content=pieces(BODY) if chunked else BODY)
        larger = await client.post("/encode", content=pieces(BODY + b" ") if chunked else BODY + b" ")
    assert fits.status_code == 200
    assert (larger.status_code, larger.json()["type"]) == (413, "urn:gyoza:too-large")
    assert f"at most {len(BODY)} bytes" in larger.json()["detail"]
    assert f"GYOZA_{setting.upper()}" in larger.json()["detail"]
    assert larger.headers["connection"] == "close"


async def test_reading_stops_at_the_limit(folder: Path) -> None:
    """Of a chunked body that never ends, no more is read than the limit and one piece."""
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1000
            yield b"x" * 1000

    app = app_of(folder, max_json_bytes=10_000)
    async with app.router.lifespan_context(app) as state:
        source = endless()

        async def receive() -> Message:
            return {"type": "http.request", "body": await anext(source), "more_body": True}

        status = await exchange(app, receive, {"state": dict(state or {})})
    assert status == 413
    assert read == 11_000


async def exchange(app: object, receive: Receive, more: Scope) -> int:
    """Post to an application by hand until its model is loaded, and return the status."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    services = more["state"]["services"]
    while not services.repository.is_ready(strict=True):
        await asyncio.sleep(0)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/encode",
        "raw_path": b"/encode",
        "query_string": b"",
        "headers": [],
        "root_path": "",
        "server": ("test", 80),
        "scheme": "http",
        **more,
    }
    await app(scope, receive, send)  # type: ignore[operator]
    return next((message["status"] for message in sent if "status" in message), 0)


async def test_a_client_that_leaves_gets_no_answer(folder: Path) -> None:
    """When the client disconnects within its body, nothing is sent and nothing breaks."""
    app = app_of(folder)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async with app.router.lifespan_context(app) as state:
        assert await exchange(app, receive, {"state": dict(state or {})}) == 0


async def test_a_body_that_does_not_arrive() -> None:
    """A body that does not arrive within the deadline is given up."""

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(DeadlineExceeded, match="Received: 0 bytes"):
        await read_body(never, {}, (10, "GYOZA_MAX_BODY_BYTES"), 0.0, Intake(10).portion())


async def test_the_same_answer_whatever_the_pieces(client: httpx.AsyncClient) -> None:
    """A chunked body gives the answer that it gives in one piece."""

    async def pieces() -> AsyncIterator[bytes]:
        yield BODY[:5]
        yield b""
        yield BODY[5:]

    chunked = await client.post("/encode", content=pieces())
    assert chunked.json() == (await client.post("/encode", content=BODY)).json()
    assert chunked.json() != (await client.post("/encode", json={"latents": LATENTS})).json()
