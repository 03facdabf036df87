"""What surrounds every request: id, log line, a net under bugs."""

import asyncio
import logging
import re

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import TOGETHER_S, AccessLog
from app.api.middleware import LastNet, RequestMiddleware
from tests.app.worlds import LATENTS


async def test_a_request_id_is_taken_over(client: httpx.AsyncClient) -> None:
    """The client's X-Request-ID comes back with answers and problems."""
    for path in ("/livez", "/nope"):
        answer = await client.get(path, headers={"X-Request-ID": "abc-123"})
        assert answer.headers["x-request-id"] == "abc-123"
    assert answer.json()["request_id"] == "abc-123"


@pytest.mark.parametrize("given", [{}, *({"X-Request-ID": text} for text in ("", "<>", "a b", "a\tb<c>", "d" * 129))])
async def test_a_request_id_is_made(client: httpx.AsyncClient, given: dict[str, str]) -> None:
    """Without one that can't hurt a log or a header, each request gets an id of its own, never a mix of both."""
    ids = {(await client.get("/livez", headers=given)).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", found) for found in ids)


async def test_one_line_a_request(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """The access log has one line a request: method, path, status, time, id; never a tensor, never a raw line break."""
    with caplog.at_level(logging.INFO, "gyoza.access"):
        await client.post("/encode", json={"latents": LATENTS}, headers={"X-Request-ID": "abc"})
        await client.get("/a%0Ab%20c")
        await asyncio.sleep(2 * TOGETHER_S)
    first, second = (record.getMessage() for record in caplog.records if record.name == "gyoza.access")
    assert re.fullmatch(r"POST /encode 200 \d+\.\dms abc", first)
    assert re.fullmatch(r"GET /a\\nb\\x20c 404 \d+\.\dms [0-9a-f]{32}", second)


async def test_facts_of_a_request(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """A log for machines has each fact of a request by its name, and nothing where there is none."""
    with caplog.at_level(logging.INFO, "gyoza.access"):
        await client.post("/encode", json={"latents": LATENTS}, headers={"X-Request-ID": "abc"})
        await client.get("/models/nobody")
        await asyncio.sleep(2 * TOGETHER_S)
    first, second = (record.fields() for record in caplog.records if record.name == "gyoza.access")  # type: ignore[attr-defined]
    times = {name: first.pop(name) for name in ("milliseconds", "decode_ms", "queue_ms", "compute_ms", "encode_ms")}
    assert all(time > 0 for time in times.values())
    assert first == {
        "method": "POST",
        "path": "/encode",
        "status": 200,
        "request_id": "abc",
        "route": "/encode",
        "model": "tiny",
        "version": "1",
        "rows": 2,
        "problem": None,
        "key": None,
    }
    assert (second["model"], second["version"], second["problem"]) == ("(unknown)", None, "not-found")
    assert [second[name] for name in ("rows", "decode_ms", "queue_ms", "compute_ms", "encode_ms")] == [None] * 5


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    """An application with a bug."""
    raise RuntimeError("secret")


def surrounded(app: ASGIApp) -> RequestMiddleware:
    """An application with all that surrounds requests."""
    return RequestMiddleware(LastNet(app), AccessLog())


async def test_a_bug_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is 500 without a word of the inside; the log has the stack trace under the same request id."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(surrounded(broken)), base_url="http://test") as client:
        answer = await client.get("/bug", headers={"X-Request-ID": "abc"})
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:gyoza:internal")
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "abc"
    assert "secret" not in answer.text
    (record,) = [record for record in caplog.records if record.name == "gyoza.api"]
    assert "abc" in record.getMessage()
    assert record.exc_info is not None
    assert "secret" in str(record.exc_info[1])


async def test_a_bug_within_an_answer_breaks_it_off() -> None:
    """An answer that fails half-way is never made to look whole."""
    sent: list[Message] = []

    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("secret")

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    with pytest.raises(RuntimeError, match="secret"):
        await surrounded(half)({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
